"""Switches of single modules that trade time for memory, or the time of compiling for that of steps."""

from collections.abc import Sequence
from operator import attrgetter

from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from ponderv2.engine.unwrapping import unwrapped
from ponderv2.errors import UserError
from ponderv2.registry import HOOKS


@HOOKS.register_module()
class RecomputeHook(Hook):
    """Computes modules again in the backward pass, which keeps their inputs alone (activation checkpointing).

    What is drawn at random is drawn the same way again. Names of weights stay as they are. Image backbones and
    `DeformableLift` have `grad_checkpointing` of their own, layer by layer, which saves more.

    Args:
        modules: names of modules inside the model, such as "encoder.convs" or "head.renderer".

    Raises:
        UserError: before training, when the model has no such module, or a batch norm in it would count each batch
            twice in its running statistics.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        self.modules = _names(modules, "RecomputeHook")

    def before_train(self, runner: Runner) -> None:
        recompute_modules(unwrapped(runner.model), self.modules)


@HOOKS.register_module()
class CompileHook(Hook):
    """Compiles modules with torch.compile before training, in place: names of weights stay as they are.

    The renderer is one graph (a test compiles it as such). On a CPU it gains nothing (docs/memory_and_speed.md); on a
    GPU it was not run. Encoders with sparse convolutions, or sizes that hang on the data, break into many graphs.

    Args:
        modules: names of modules inside the model; "head.renderer".
        mode: mode of torch.compile, such as "max-autotune"; None for its default.
        backend: backend of torch.compile.

    Raises:
        UserError: before training, when the model has no such module.
    """

    def __init__(
        self, modules: Sequence[str] = ("head.renderer",), mode: str | None = None, backend: str = "inductor"
    ) -> None:
        self.modules, self.mode, self.backend = _names(modules, "CompileHook"), mode, backend

    def before_train(self, runner: Runner) -> None:
        for name in self.modules:
            _find(unwrapped(runner.model), name, "CompileHook").compile(mode=self.mode, backend=self.backend)
        logger = MMLogger.get_current_instance()
        logger.info("compiled at their first step, which takes a while: %s", ", ".join(self.modules))


def recompute_modules(model: nn.Module, modules: Sequence[str]) -> None:
    """Let modules of a model be computed again in the backward pass; see `RecomputeHook`.

    Raises:
        UserError: as there.
    """
    for name in modules:
        module = _find(model, name, "RecomputeHook")
        norms = [part for part in module.modules() if isinstance(part, _BatchNorm) and part.track_running_stats]
        if any(norm.training for norm in norms):
            raise UserError(
                f"RecomputeHook: {name} has a {type(norms[0]).__name__}, which would count each batch twice in its "
                "running statistics; choose modules with other norms (norm_cfg)"
            )
        module.forward = _recomputed(module.forward)


def _recomputed(forward):
    def run(*args: object, **kwargs: object) -> object:
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)

    return run


def _names(modules: Sequence[str], hook: str) -> tuple[str, ...]:
    if isinstance(modules, str) or not modules or not all(isinstance(name, str) for name in modules):
        raise UserError(f"{hook}: modules: expected a list of names of modules, got {modules!r}")
    return tuple(modules)


def _find(model: nn.Module, name: str, hook: str) -> nn.Module:
    try:
        module = attrgetter(name)(model)
    except AttributeError as error:
        near = [f"{top}.{part}" for top, child in model.named_children() for part, _ in child.named_children()]
        raise UserError(f"{hook}: the model has no {name}; there are {', '.join(near)}") from error
    if not isinstance(module, nn.Module):
        raise UserError(f"{hook}: {name} is no module but a {type(module).__name__}")
    return module
