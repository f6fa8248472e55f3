"""What a training step of a recipe costs: parameters, FLOPs and memory by part, and the least time on a card.

A step is taken on this machine's CPU, with a random batch of the recipe's size: what is computed hangs on what cameras
see and where points are, so nothing less than a step tells it.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu_check.random_batch import random_batch
from benchmarks.gpu_check.random_weights import build_at_random, start_at_random
from benchmarks.lift_benchmark import IMAGE
from ponderv2.engine import load_config, must_have, recipe_errors
from ponderv2.engine.hooks.module_switches import recompute_modules
from studies.quiet import messages_from

from .cards import Card
from .flop_formulas import FORMULAS

OTHER = "other"
"""Part of what no module of the list computes: losses, the preprocessor."""


@dataclass
class Part:
    """What a part of a model costs in one step.

    Attributes:
        parameters: number of parameters, and of those that are trained.
        trained: the number of those that are trained.
        forward: FLOPs of the forward pass.
        backward: FLOPs of the backward pass.
        activations: bytes that are kept for the backward pass.
    """

    parameters: int = 0
    trained: int = 0
    forward: int = 0
    backward: int = 0
    activations: int = 0


@dataclass
class StepCost:
    """What a step costs; sums of the parts, and what belongs to none.

    Attributes:
        parts: cost by name of the part.
        state_bytes: bytes of the optimizer's state.
        image_size: height and width of the images as the pipeline resizes them, pixels; None without cameras.
        seconds: processor seconds of steps without counting, where they were measured.
        gemm_flops: FLOP/s of a large product of matrices in the same process, where it was measured.
    """

    parts: dict[str, Part] = field(default_factory=dict)
    state_bytes: int = 0
    image_size: tuple[int, int] | None = None
    seconds: float | None = None
    gemm_flops: float | None = None

    def total(self, key: str) -> int:
        """Return the sum of an attribute over the parts."""
        return sum(getattr(part, key) for part in self.parts.values())

    @property
    def flops(self) -> int:
        """FLOPs of a step, forward and backward."""
        return self.total("forward") + self.total("backward")

    @property
    def memory(self) -> dict[str, int]:
        """Bytes of parameters, gradients and the optimizer's state, and of activations."""
        trained = 4 * self.total("trained")
        return {
            "parameters": 4 * self.total("parameters"),
            "gradients": trained,
            "optimizer": self.state_bytes,
            "activations": self.total("activations"),
        }

    def bytes_in(self, precision: str) -> int:
        """Bytes of all that `memory` names; in bfloat16 activations take half."""
        halved = self.memory["activations"] // 2 if precision == "bfloat16" else 0
        return sum(self.memory.values()) - halved

    def seconds_on(self, card: Card, precision: str = "bfloat16") -> float:
        """Return the least seconds of a step on a card: at its peak rate, or at that of its memory, if that is more.

        Activations are written and read once, parameters read twice, gradients and the optimizer's state written and
        read once. A step takes several times as long, as all else does that is not a product of matrices.
        """
        rate = {"bfloat16": card.tensor_tflops, "tf32": card.tf32_tflops, "float32": card.float32_tflops}[precision]
        moved = 2 * self.bytes_in(precision)
        return max(self.flops / (rate * 1e12), moved / (card.bandwidth * 1e9))


class _NoModules:
    """In the place of torch's tracker of modules, which fails of views of parameters made without gradients."""

    parents = frozenset({"Global"})

    def __enter__(self) -> "_NoModules":
        return self

    def __exit__(self, *_: object) -> None:
        pass


class StepCounter:
    """Counts FLOPs and kept bytes of a step by part.

    Forward, the part is the innermost of the list that runs. Backward, it is the one that kept the tensors which an
    operator takes up again, just before it computes.

    Args:
        parts: the modules by name.
        parameters: parameters of the model, which are kept for the backward pass as well, but cost nothing more.
    """

    def __init__(self, parts: dict[str, nn.Module], parameters: Iterator[Tensor]) -> None:
        self.modules = parts
        self.costs = {name: Part() for name in [*parts, OTHER]}
        self._kept = {p.untyped_storage().data_ptr() for p in parameters}
        self._counter = FlopCounterMode(display=False, custom_mapping=FORMULAS)
        self._counter.mod_tracker = _NoModules()
        self._stack, self._direction, self._counted = [OTHER], "forward", 0

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count what is computed in the block; `backward` has to be called between its two halves."""
        handles = []
        # Not all parts are called themselves: of a list of modules, and of a head by its loss, the parts inside are.
        named = ((name, inner) for name, module in self.modules.items() for inner in module.modules())
        for name, module in named:
            handles.append(module.register_forward_pre_hook(lambda *_, name=name: self._enter(name)))
            handles.append(module.register_forward_hook(lambda *_: self._leave(), always_call=True))
        try:
            with self._counter, saved_tensors_hooks(self._keep, self._take_up):
                yield
                self._settle()
        finally:
            for handle in handles:
                handle.remove()

    def backward(self) -> None:
        """Count as backward from now on."""
        self._settle()
        self._direction, self._stack = "backward", [OTHER]

    def _enter(self, name: str) -> None:
        self._settle()
        self._stack.append(name)

    def _leave(self) -> None:
        self._settle()
        self._stack.pop()

    def _settle(self) -> None:
        """Give what was counted since the last call to the part that was at work."""
        total = self._counter.get_total_flops()
        part = self.costs[self._stack[-1]]
        setattr(part, self._direction, getattr(part, self._direction) + total - self._counted)
        self._counted = total

    def _keep(self, tensor: Tensor) -> tuple[str, Tensor]:
        name = self._stack[-1]
        if tensor.layout == torch.strided:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self._kept:
                self._kept.add(storage.data_ptr())
                self.costs[name].activations += storage.nbytes()
        # Of an output itself, this would be a cycle.
        return name, tensor.detach()

    def _take_up(self, kept: tuple[str, Tensor]) -> Tensor:
        name, tensor = kept
        if self._direction == "backward" and self._stack[-1] != name:
            self._settle()
            self._stack = [name]
        return tensor


def parts_of(model: nn.Module) -> dict[str, nn.Module]:
    """Return the parts of a model by name: those of its encoder, or of each sensor's encoder, and its head."""
    parts: dict[str, nn.Module] = {}
    encoder = getattr(model, "encoder", None)
    if encoder is not None:
        for name, child in encoder.named_children():
            inner = dict(child.named_children()) if name in ("camera", "lidar") else {}
            parts |= {f"encoder.{name}.{key}": value for key, value in inner.items()} or {f"encoder.{name}": child}
    return parts | {
        name: child for name, child in model.named_children() if name not in ("encoder", "data_preprocessor")
    }


def estimate_step(
    recipe: Path,
    options: dict | None = None,
    image_size: tuple[int, int] = IMAGE,
    measured: int = 0,
    recompute: Sequence[str] = (),
) -> tuple[StepCost, Config]:
    """Count a training step of a recipe from random weights.

    Args:
        recipe: a recipe of `configs/`.
        options: changes to it by key.
        image_size: height and width of the image files, pixels, which the recipe may resize.
        measured: number of steps that are timed without counting, on this CPU; 0 for none.
        recompute: modules that a `RecomputeHook` computes again in the backward pass.

    Raises:
        UserError: the recipe cannot be built, or has no such module.
    """
    config = load_config(recipe, options=options)
    must_have(config, ("model", "train_dataloader", "optim_wrapper"), "estimate")
    start_at_random(config)
    if config.optim_wrapper.get("precision"):
        # One count for every machine; in bfloat16 most activations take half.
        config.optim_wrapper.precision = "float32"
    torch.manual_seed(0)
    np.random.seed(0)
    changes = [f"{key}={value}" for key, value in (options or {}).items()]
    # A line for every parameter would come before the table.
    with messages_from(logging.ERROR), recipe_errors(recipe, "cannot be built", changes):
        model = build_at_random(config).train()
        optim_wrapper = build_optim_wrapper(model, config.optim_wrapper)
    if recompute:
        recompute_modules(model, recompute)
    batch = random_batch(config, image_size)
    rigs = batch["inputs"].get("rig")
    counter = StepCounter(parts_of(model), model.parameters())
    with counter.counting():
        data = model.data_preprocessor(batch, True)
        with optim_wrapper.optim_context(model):
            losses = model(**data, mode="loss")
        loss, _ = model.parse_losses(losses)
        counter.backward()
        optim_wrapper.backward(loss)
    optim_wrapper.step()
    optim_wrapper.zero_grad()
    _count_parameters(model, counter)
    state = optim_wrapper.optimizer.state.values()
    tensors = [value for values in state for value in values.values() if isinstance(value, Tensor)]
    cost = StepCost(counter.costs, sum(value.nbytes for value in tensors if value.dim()))
    cost.image_size = None if rigs is None else rigs[0].padded_size
    if measured:
        # Processor time, so that other processes of a busy machine are not counted.
        start = time.process_time()
        for _ in range(measured):
            model.train_step(batch, optim_wrapper)
        cost.seconds = (time.process_time() - start) / measured
        cost.gemm_flops = gemm_rate()
    return cost, config


def gemm_rate(size: int = 768, repeats: int = 6) -> float:
    """Return the FLOP/s of processor time of a product of square matrices in float32, the best of several."""
    left, right = torch.rand(size, size), torch.rand(size, size)
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        left @ right
        best = min(best, time.process_time() - start)
    return 2 * size**3 / best


def _count_parameters(model: nn.Module, counter: StepCounter) -> None:
    places = {id(p): name for name, module in counter.modules.items() for p in module.parameters()}
    for parameter in model.parameters():
        part = counter.costs[places.get(id(parameter), OTHER)]
        part.parameters += parameter.numel()
        part.trained += parameter.numel() * parameter.requires_grad
