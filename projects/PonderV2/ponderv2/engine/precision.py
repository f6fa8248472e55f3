"""The precision of training: float32, or bfloat16 where a device is fast in it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from torch import nn

from ponderv2.devices import computes_bfloat16
from ponderv2.errors import UserError
from ponderv2.registry import OPTIM_WRAPPERS

PRECISIONS = ("float32", "bfloat16", "auto")


def allow_tf32(allowed: bool = True) -> None:
    """Let dense convolutions in float32 round their factors to TF32, on cards that have it (A100 and later).

    These are what autocast leaves in float32, evaluation above all. TF32 keeps 10 bits of a factor, which features bear
    and coordinates do not: 3 cm at 54 m. So products of matrices, which are geometry and signed distances, stay exact,
    and so do sparse convolutions, which read coordinates (spconv has a switch of its own, which is off).

    Args:
        allowed: whether convolutions may; `env_cfg.tf32` of a recipe.
    """
    torch.backends.cudnn.allow_tf32 = allowed
    torch.backends.cuda.matmul.allow_tf32 = False


@OPTIM_WRAPPERS.register_module()
class PrecisionOptimWrapper(OptimWrapper):
    """mmengine's optimiser wrapper, which here can compute in bfloat16 by autocast, on a CPU too.

    Recipes train with it. The published ones use float16 with a loss scale of 32; bfloat16 has the range of float32, so
    nothing is scaled. Weights, their gradients and the optimiser stay in float32, and so do geometry, signed distances,
    those of a sampler's proposals too, normals and losses, whose modules switch autocast off; colors do not. For
    float16 there is mmengine's `AmpOptimWrapper`, which needs a GPU. Results in bfloat16 are not those in float32, nor
    are they the same on every kind of CPU. Evaluation is in float32.

    Args:
        precision: "float32", "bfloat16" or "auto": bfloat16 where the device has instructions for it, else float32.
        **kwargs: arguments of mmengine's `OptimWrapper`.

    Raises:
        ValueError: for another precision.
        UserError: for bfloat16 on a device without instructions for it, where it would be slower than float32.
    """

    def __init__(self, precision: str = "auto", **kwargs: object) -> None:
        if precision not in PRECISIONS:
            raise ValueError(f"precision: expected one of {PRECISIONS}, got {precision!r}")
        device = get_device()
        fast = computes_bfloat16(device)
        if precision == "bfloat16" and not fast:
            raise UserError(
                f"precision='bfloat16': {device} has no instructions for bfloat16 and would be slower than in float32; "
                "set optim_wrapper.precision to float32 or auto"
            )
        super().__init__(**kwargs)
        self.precision = "bfloat16" if precision != "float32" and fast else "float32"

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Compute a forward pass in the precision, within mmengine's context of gradient accumulation."""
        autocast = torch.autocast(get_device(), torch.bfloat16, enabled=self.precision == "bfloat16")
        with super().optim_context(model), autocast:
            yield
