"""Small constant tensors that are built once and kept, by value, device and type."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from ponderv2.shapes import Float, Int


def constant(
    values: Sequence[float | int], device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "n"] | Int[Tensor, "n"]:
    """Return a tensor of a few numbers, the same one at every call; nothing may write into it.

    A tensor that is built from a list on a GPU is a copy from the host for which the host waits, so a training step
    must not build any. Here the first call does, and later ones find it.

    Args:
        values: the numbers.
        device: where the tensor is; None is torch's default device.
        dtype: its type.
    """
    values = tuple(values)
    if torch.compiler.is_compiling():
        # A compiled graph has constants of its own.
        return torch.tensor(values, device=device, dtype=dtype)
    device = torch.get_default_device() if device is None else torch.device(device)
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())
    return _kept(values, device, dtype)


@lru_cache(maxsize=1024)
def _kept(values: tuple[float | int, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    # What is made in inference mode could not take part in training later.
    with torch.inference_mode(False):
        return torch.tensor(values, device=device, dtype=dtype)
