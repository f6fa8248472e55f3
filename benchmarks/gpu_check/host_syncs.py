"""Counting how often a step makes the host wait for the device."""

import traceback
import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

_aten = torch.ops.aten
_WAITING = {
    _aten._local_scalar_dense,
    _aten.nonzero,
    _aten.masked_select,
    _aten.unique_consecutive,
    _aten.unique_dim,
    _aten._unique,
    _aten._unique2,
    _aten.bincount,
    _aten.equal,
}
"""Operations whose result, or its size, the host has to know."""

_FROM_LISTS = {torch.tensor, torch.as_tensor, torch.asarray, torch.from_numpy, Tensor.new_tensor}


def host_syncs(step: Callable[[], object], device: str) -> list[str]:
    """Run a step and return a line for each time that the host waits, or would wait, for the device.

    On a GPU it is `torch.cuda.set_sync_debug_mode` that notices. On a CPU nothing waits; what is noted there are the
    operations that would on a GPU: reading a number, finding the elements of a mask, and tensors that are built from
    lists, each of which is a copy that the host waits for.
    """
    return _on_gpu(step) if device.startswith("cuda") else _on_cpu(step)


def _on_gpu(step: Callable[[], object]) -> list[str]:
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.synchronize()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            step()
        finally:
            torch.cuda.set_sync_debug_mode(before)
    return [f"{w.filename}:{w.lineno}" for w in caught if "synchronizing CUDA operation" in str(w.message)]


def _on_cpu(step: Callable[[], object]) -> list[str]:
    found: list[str] = []
    with _ListsNoted(found), _WaitingNoted(found):
        step()
    return found


class _ListsNoted(TorchFunctionMode):
    """Notes tensors that are built from lists."""

    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in _FROM_LISTS:
            given = [*args, *(kwargs or {}).values()][1 if func is Tensor.new_tensor else 0]
            # A tensor that is taken as it is, as `as_tensor` may, is no copy.
            if not isinstance(given, Tensor):
                self.found.append(f"{func.__name__} {_caller()}")
        return func(*args, **(kwargs or {}))


class _WaitingNoted(TorchDispatchMode):
    """Notes operations after which the host has to know something that the device has computed."""

    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if _waits(func, args, kwargs or {}):
            self.found.append(f"{func} {_caller()}")
        return func(*args, **(kwargs or {}))


def _waits(func: torch._ops.OpOverload, args: tuple, kwargs: dict) -> bool:
    packet = func.overloadpacket
    if packet is _aten.repeat_interleave:
        # By a tensor of counts, unless the size of the result is told.
        return "Tensor" in func._overloadname and kwargs.get("output_size") is None
    if packet in (_aten.index, _aten.index_put, _aten.index_put_, _aten._index_put_impl_):
        return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])
    return packet in _WAITING


def _caller() -> str:
    """Name the innermost line outside installed packages and this file."""
    frames = [f for f in traceback.extract_stack() if "site-packages" not in f.filename and f.filename != __file__]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "?"
