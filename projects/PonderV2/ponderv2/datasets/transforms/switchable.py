"""Transforms that can be switched off while data loaders run."""

import torch
from mmcv.transforms import BaseTransform


class SharedSwitch:
    """A switch whose changes reach the worker processes of a data loader, persistent ones included.

    A data loader gives each worker a copy of the data set, once; what is set on the original later never arrives
    there. The state lies in memory that the copies share, whether workers are forked or spawned. A deep copy or a
    pickle made outside of that is a switch of its own, with the state of this moment.

    Args:
        on: state that the switch starts with.
    """

    def __init__(self, on: bool = True) -> None:
        self._bit = torch.tensor([on]).share_memory_()

    def __bool__(self) -> bool:
        return bool(self._bit[0])

    def set(self, on: bool) -> None:
        """Change the state for every process that shares it."""
        self._bit[0] = on

    def __deepcopy__(self, memo: dict) -> "SharedSwitch":
        return SharedSwitch(bool(self))


class SwitchableTransform(BaseTransform):
    """A transform that leaves samples as they are once it is switched off, in all processes.

    Attributes:
        switch: state of the transform, which `engine.DisableTransformsHook` sets.
    """

    def __init__(self) -> None:
        self.switch = SharedSwitch()

    def __call__(self, results: dict) -> dict:
        return self.transform(results) if self.switch else results
