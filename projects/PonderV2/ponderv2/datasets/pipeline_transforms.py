"""Transforms of a data set, at any depth, and what a data set tells them."""

from collections.abc import Collection, Iterator
from typing import Protocol, runtime_checkable

from mmengine.dataset import Compose


@runtime_checkable
class UsesFrames(Protocol):
    """A transform that takes from other key frames than its sample's, and so has to know which it may take from.

    A data set calls `use_frames` of such transforms in its pipeline when its frames are chosen, and again when they are
    chosen anew. Without a data set the transform takes from everything. It belongs to one data set.
    """

    def use_frames(self, tokens: Collection[str], every: bool) -> None:
        """Take from these key frames alone.

        Args:
            tokens: tokens of the key frames of the data set.
            every: whether these are all that its info files have.
        """


def transforms_of(part: object) -> Iterator[object]:
    """Yield the transforms of data sets, wrappers of data sets, pipelines, and transforms that hold transforms."""
    if isinstance(part, list | tuple):
        for item in part:
            yield from transforms_of(item)
        return
    if callable(part) and not isinstance(part, Compose):
        yield part
    for name in ("dataset", "datasets", "pipeline", "transforms"):
        inner = getattr(part, name, None)
        if inner is not None:
            yield from transforms_of(inner)
