"""Losses and gradients that are not finite: the training stops before they reach the weights, or skips the step."""

import json
import math
from collections.abc import Sequence
from logging import WARNING
from pathlib import Path

import torch
from mmengine.dist import all_reduce, get_rank
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.runner import Runner

from ponderv2.engine.unwrapping import unwrapped
from ponderv2.errors import UserError
from ponderv2.registry import HOOKS

_SKIPPED = "non_finite_steps_skipped"
"""Key of the message hub, which checkpoints keep."""


class NonFiniteLossError(UserError):
    """A loss or gradient that is not finite; the message names the iteration, the losses and the key frames."""


@HOOKS.register_module()
class NonFiniteLossHook(Hook):
    """Looks at the gradients before each step of the optimizer, and keeps those that are not finite from the weights.

    Weights, the optimizer's state and running statistics stay as they were before the step. The key frames of the batch
    and its losses are written to `non_finite/iter_<number>_rank_<rank>.json` in the work dir, by every process: the one
    whose own losses are not finite has the culprit. Then the training stops, or goes on after up to `limit` such steps
    in all. With several processes gradients are those of all, so all stop, or skip, at the same step.

    The norm of the gradients that clipping computes is what is looked at; without clipping, their sum.
    `AmpOptimWrapper` skips steps whose scaled gradients overflow by itself, which is how it finds its scale; there the
    loss is looked at.

    Args:
        policy: "stop", or "skip".
        limit: number of steps that may be skipped; checkpoints keep how many were.

    Raises:
        UserError: `policy` is neither word, or `limit` is below 1.
        NonFiniteLossError: while training, as said above.
    """

    # Before the hooks that write checkpoints or average weights.
    priority = "VERY_HIGH"

    def __init__(self, policy: str = "stop", limit: int = 10) -> None:
        if policy not in ("stop", "skip"):
            raise UserError(f"NonFiniteLossHook: policy: expected 'stop' or 'skip', got {policy!r}")
        if not isinstance(limit, int) or limit < 1:
            raise UserError(f"NonFiniteLossHook: limit: expected a whole number of at least 1, got {limit!r}")
        self.policy, self.limit = policy, limit
        self.skipped = 0
        self._found = False
        self._batches: list[list[str]] = []
        self._buffers: list[torch.Tensor] = []

    def before_train(self, runner: Runner) -> None:
        """Look at the gradients before each step from now on."""
        skipped = runner.message_hub.runtime_info.get(_SKIPPED, 0)
        self.skipped = skipped if type(skipped) is int else 0
        wrapper = runner.optim_wrapper
        self._scales = isinstance(wrapper, AmpOptimWrapper)
        self._handle = wrapper.optimizer.register_step_pre_hook(lambda *_: self._check_gradients(wrapper))

    def after_train(self, runner: Runner) -> None:
        self._handle.remove()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Sequence | dict | None = None) -> None:
        # A step has the gradients of all batches since the one before, where gradients are accumulated.
        if self.policy == "skip" and not self._batches:
            # Running statistics take in a batch before its loss is known.
            self._buffers = [buffer.clone() for buffer in unwrapped(runner.model).buffers()]
        self._batches.append(tokens_of(data_batch))

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Sequence | dict | None = None, outputs: dict | None = None
    ) -> None:
        """Stop, or note the skipped step, if the gradients were not finite."""
        if self._scales:
            self._found |= not _finite_everywhere((outputs or {}).get("loss", 0.0))
        if not runner.optim_wrapper.should_update():
            return
        found, self._found = self._found, False
        batches, self._batches = self._batches, []
        if not found:
            return
        losses = {name: float(value) for name, value in (outputs or {}).items()}
        path = self._write(runner, losses, batches)
        bad = sorted(name for name, value in losses.items() if not math.isfinite(value))
        what = (f"{', '.join(bad)} not finite" if bad else "a gradient is not finite, losses of this process are") + (
            f" in iteration {runner.iter + 1}"
        )
        frames = f"key frames {', '.join(t for tokens in batches for t in tokens) or 'without tokens'} ({path})"
        if self.policy == "stop":
            raise NonFiniteLossError(f"{what}; {frames}; weights are those before it")
        self.skipped += 1
        runner.message_hub.update_info(_SKIPPED, self.skipped)
        if self.skipped > self.limit:
            raise NonFiniteLossError(f"{what}, after {self.limit} skipped steps (limit of NonFiniteLossHook); {frames}")
        with torch.no_grad():
            for buffer, before in zip(unwrapped(runner.model).buffers(), self._buffers, strict=True):
                buffer.copy_(before)
        print_log(
            f"skipped a step, {self.skipped} of at most {self.limit}: {what}; {frames}", logger="current", level=WARNING
        )

    def _check_gradients(self, wrapper: OptimWrapper) -> None:
        parameters = [p for group in wrapper.param_groups for p in group["params"] if p.grad is not None]
        if self._scales or not parameters:
            return
        norms = wrapper.message_hub.log_scalars.get(f"train/{wrapper.grad_name}") if wrapper.clip_grad_kwargs else None
        # Clipping has just read the norm from the device, so looking at it costs nothing.
        total = norms.current() if norms is not None else float(sum(p.grad.sum().double() for p in parameters))
        if not math.isfinite(total):
            self._found = True
            # Optimizers leave parameters without gradients, and their state, alone.
            for parameter in parameters:
                parameter.grad = None

    def _write(self, runner: Runner, losses: dict[str, float], batches: list[list[str]]) -> Path:
        path = Path(runner.work_dir) / "non_finite" / f"iter_{runner.iter + 1:06d}_rank_{get_rank()}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        # JSON has no NaN.
        texts = {name: value if math.isfinite(value) else str(value) for name, value in losses.items()}
        record = {"iteration": runner.iter + 1, "epoch": runner.epoch + 1, "losses": texts, "tokens": batches}
        path.write_text(json.dumps(record, indent=1) + "\n")
        return path


def tokens_of(batch: Sequence | dict | None) -> list[str]:
    """Return the tokens of the key frames of a batch that was collated, but not preprocessed yet."""
    samples = (batch.get("data_samples") if isinstance(batch, dict) else None) or []
    return [str(getattr(sample, "token", "")) for sample in samples]


def _finite_everywhere(loss: torch.Tensor | float) -> bool:
    """Whether a loss is finite in all processes."""
    wrong = 1.0 - torch.isfinite(torch.as_tensor(loss).detach()).float().reshape(1)
    all_reduce(wrong, op="max")
    return not wrong.item()
