"""Augmentation that ends before training does."""

from collections.abc import Iterator, Sequence

from mmengine.config.lazy import LazyObject
from mmengine.dataset import Compose
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import EpochBasedTrainLoop, Runner

from ponderv2.datasets import SwitchableTransform
from ponderv2.registry import HOOKS


@HOOKS.register_module()
class DisableTransformsHook(Hook):
    """Switches transforms of the training data off from an epoch on (PointAugmenting, Wang et al. 2021: "fade").

    UVTR and UniPAD ask their users to stop training, to take object pasting out of the config and to go on, for the
    last 5 of 20 epochs (UVTR-L: 2). Here the state follows from the epoch that begins, so it is right also after
    resuming late, and it reaches worker processes that live on from epoch to epoch. mmdet3d's
    `DisableObjectSampleHook` acts in one epoch alone, and not when training is resumed after it.

    Args:
        after: full epochs before they are off; published 15 of 20.
        transforms: classes of `SwitchableTransform`, or their names; subclasses count.

    Raises:
        ValueError: before training, when the training data has none of a class, or is not trained on by epochs.
        TypeError: when one cannot be switched off.
    """

    def __init__(self, after: int, transforms: Sequence[type | str | LazyObject]) -> None:
        if after < 0:
            raise ValueError(f"after: expected a number of epochs, got {after}")
        if not transforms or isinstance(transforms, str):
            raise ValueError(f"transforms: expected classes of transforms, got {transforms!r}")
        self.after = after
        self.names = [_name(transform) for transform in transforms]

    def before_train(self, runner: Runner) -> None:
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise ValueError(
                f"DisableTransformsHook counts epochs, and {type(runner.train_loop).__name__} does not train by them"
            )
        self._set(runner)

    def before_train_epoch(self, runner: Runner) -> None:
        # Before the loader is iterated: no sample of the epoch is prepared in the other state.
        self._set(runner)

    def _set(self, runner: Runner) -> None:
        on = runner.epoch < self.after
        changed = [t for t in self.find(runner.train_dataloader.dataset) if bool(t.switch) != on]
        for transform in changed:
            transform.switch.set(on)
        if changed:
            names = ", ".join(type(t).__name__ for t in changed)
            state = "on" if on else "off"
            MMLogger.get_current_instance().info("%s: %s from epoch %d on", names, state, runner.epoch + 1)

    def find(self, dataset: object) -> list[SwitchableTransform]:
        """The transforms meant, at any depth of wrapped data sets and pipelines."""
        every = list(_transforms(dataset))
        found = []
        for name in self.names:
            named = [t for t in every if any(c.__name__ == name for c in type(t).__mro__)]
            if not named:
                there = ", ".join(dict.fromkeys(type(t).__name__ for t in every)) or "no transforms at all"
                raise ValueError(f"DisableTransformsHook: no {name} in the training data; it has {there}")
            fixed = [type(t).__name__ for t in named if not isinstance(t, SwitchableTransform)]
            if fixed:
                raise TypeError(f"DisableTransformsHook: {fixed[0]} is no SwitchableTransform and cannot be switched")
            found += [t for t in named if t not in found]
        return found


def _name(transform: type | str | LazyObject) -> str:
    if isinstance(transform, LazyObject):
        # mmengine leaves the classes of a recipe that stand in a list unresolved.
        transform = transform.build()
    # A recipe that was written to a file has dotted names in place of classes.
    return transform.rpartition(".")[2] if isinstance(transform, str) else transform.__name__


def _transforms(part: object) -> Iterator[object]:
    """Transforms of data sets, wrappers of data sets, pipelines, and transforms of transforms."""
    if isinstance(part, list | tuple):
        for item in part:
            yield from _transforms(item)
        return
    if callable(part) and not isinstance(part, Compose):
        yield part
    for name in ("dataset", "datasets", "pipeline", "transforms"):
        inner = getattr(part, name, None)
        if inner is not None:
            yield from _transforms(inner)
