"""Transforms of a data set, at any depth, and what a data set tells them."""

from collections.abc import Collection, Iterator
from typing import Protocol, runtime_checkable

from mmengine.dataset import Compose

from ponderv2.errors import UserError

PART = "uses_part_of_frames"
"""Key that a sample has, true, if its data set uses a part of the key frames that its info files have."""


@runtime_checkable
class UsesFrames(Protocol):
    """A transform that takes from other key frames than its sample's, and so has to know which it may take from.

    A data set calls `use_frames` of such transforms in its pipeline when its frames are chosen, and again when they are
    chosen anew. Without a data set the transform takes from everything. It belongs to one data set. In a pipeline that
    the data set does not know, as that of a wrapper, it is not told; then `must_be_told` notices.
    """

    def use_frames(self, tokens: Collection[str], every: bool) -> None:
        """Take from these key frames alone.

        Args:
            tokens: tokens of the key frames of the data set.
            every: whether these are all that its info files have.
        """


def must_be_told(transform: UsesFrames, results: dict) -> None:
    """Check, in a transform that was not told which frames it may take from, that this sample's data set uses all.

    Raises:
        UserError: the data set uses a part of its frames.
    """
    if results.get(PART):
        name = type(transform).__name__
        raise UserError(
            f"{results.get('info_name', 'sample')}: its data set uses a part of the key frames, and {name} does not "
            f"know which; put {name} into the pipeline of the data set itself, not into that of a wrapper"
        )


def transforms_of(part: object) -> Iterator[object]:
    """Yield the transforms of data sets, wrappers of data sets, pipelines, and transforms that hold transforms."""
    if isinstance(part, list | tuple):
        for item in part:
            yield from transforms_of(item)
        return
    if callable(part) and not isinstance(part, Compose):
        yield part
    for name in ("dataset", "datasets", "pipeline", "transforms", "pre_transform"):
        inner = getattr(part, name, None)
        if inner is not None:
            yield from transforms_of(inner)
