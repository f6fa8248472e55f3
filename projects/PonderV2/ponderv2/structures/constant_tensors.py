"""Small constant tensors that are built once and kept, by value, device and type."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from ponderv2.shapes import Float, Int

_MOST = 1024
"""So many constants are kept; those beyond are built at each call."""

_kept: dict[tuple[tuple[float | int, ...], torch.device, torch.dtype], Tensor] = {}


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

    Raises:
        RuntimeError: something has written into the tensor since it was built.
    """
    values = tuple(values)
    if torch.compiler.is_compiling():
        # A compiled graph has constants of its own.
        return torch.tensor(values, device=device, dtype=dtype)
    device = torch.get_default_device() if device is None else torch.device(device)
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())
    key = (values, device, dtype)
    modes = _get_current_dispatch_mode_stack()
    # Fake tensors and real ones do not mix.
    found = None if any(isinstance(mode, FakeTensorMode) for mode in modes) else _kept.get(key)
    if found is None:
        # What is made in inference mode could not take part in training later.
        with torch.inference_mode(False):
            found = torch.tensor(values, device=device, dtype=dtype)
        # A dispatch mode may make something else than a plain tensor, which must not outlive it.
        if not modes and len(_kept) < _MOST:
            _kept[key] = found
    elif found._version != 0:
        raise RuntimeError(f"constant {values}: something has written into this shared tensor; clone it before")
    return found
