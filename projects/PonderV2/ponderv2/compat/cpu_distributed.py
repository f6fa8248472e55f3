"""Distributed training on machines without CUDA, over gloo.

mmengine 0.10.7 sets a CUDA device before it makes the process group, whatever the backend, and hands DDP
the local rank as a CUDA device; both fail on a machine without one. Nothing changes where there is an
accelerator.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

__all__ = ["install_cpu_distributed"]

_LAUNCHERS = ("_init_dist_pytorch", "_init_dist_slurm", "_init_dist_mpi")


def install_cpu_distributed() -> None:
    """Let mmengine's launchers and its DDP run on CPU; does nothing where an accelerator is found.

    Further calls change nothing. mmengine's own functions stay reachable as `__wrapped__` of the new ones.
    """
    from mmengine.device import is_mlu_available, is_musa_available, is_npu_available

    if torch.cuda.is_available() or is_mlu_available() or is_musa_available() or is_npu_available():
        return

    from mmengine.dist import utils
    from mmengine.model import MMDistributedDataParallel

    for name in _LAUNCHERS:
        _replace(utils, name, _without_cuda)
    _replace(MMDistributedDataParallel, "__init__", _without_device_ids)


def _without_cuda(launch: Callable) -> Callable:
    """Wrap a function that makes the process group so that it leaves CUDA alone."""

    @functools.wraps(launch)
    def launch_on_cpu(backend: str, *args: Any, **kwargs: Any) -> None:
        if backend == "nccl":
            raise ValueError(
                "backend 'nccl' needs CUDA, and this machine has none; set env_cfg.dist_cfg.backend to "
                "'gloo' (--cfg-options env_cfg.dist_cfg.backend=gloo)"
            )
        with _no_cuda_device():
            launch(backend, *args, **kwargs)

    return launch_on_cpu


@contextmanager
def _no_cuda_device() -> Iterator[None]:
    # For the length of one call: elsewhere a request for a CUDA device must go on failing.
    set_device = torch.cuda.set_device
    torch.cuda.set_device = lambda device: None
    try:
        yield
    finally:
        torch.cuda.set_device = set_device


def _without_device_ids(initialize: Callable) -> Callable:
    """Wrap the constructor of mmengine's DDP so that a module on CPU gets no device ids, as torch demands."""

    @functools.wraps(initialize)
    def initialize_on_cpu(self: nn.Module, module: nn.Module, *args: Any, **kwargs: Any) -> None:
        if all(parameter.device.type == "cpu" for parameter in module.parameters()):
            kwargs.update(device_ids=None, output_device=None)
        initialize(self, module, *args, **kwargs)

    return initialize_on_cpu


def _replace(owner: Any, name: str, wrap: Callable[[Callable], Callable]) -> None:
    original = getattr(owner, name)
    if getattr(original, "repair", None) is wrap:
        return
    replacement = wrap(original)
    replacement.repair = wrap
    setattr(owner, name, replacement)
