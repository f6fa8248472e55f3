"""Switching transforms off for the last epochs of training."""

from collections.abc import Sequence

from mmengine.config.lazy import LazyObject
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import EpochBasedTrainLoop, Runner

from ponderv2.datasets import SwitchableTransform, transforms_of
from ponderv2.errors import UserError
from ponderv2.registry import HOOKS


@HOOKS.register_module()
class DisableTransformsHook(Hook):
    """Switches transforms of the training data off from an epoch on (the fade strategy of PointAugmenting, CVPR 2021).

    UVTR and UniPAD ask their users to stop training, to remove ground-truth sampling from the config, and to resume for
    the last 5 of 20 epochs (UVTR-L: 2). This hook derives the state from the number of the epoch that begins. So the
    state is also correct after resuming late, and it reaches worker processes that persist from epoch to epoch.
    mmdet3d's `DisableObjectSampleHook` acts in a single epoch only, and not when training is resumed after it.

    Args:
        after: number of epochs in which the transforms are on; published 15 of 20.
        transforms: subclasses of `SwitchableTransform` to switch off, or their names; their own subclasses are
            switched off, too.

    Raises:
        ValueError: when `after` is negative or `transforms` is empty; before training, when the training data has no
            transform of one of the classes, or when training does not go by epochs.
        TypeError: before training, when one of the transforms is no `SwitchableTransform`.
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
            raise UserError(
                f"DisableTransformsHook counts epochs, and {type(runner.train_loop).__name__} does not train by epochs"
            )
        self._set(runner)

    def before_train_epoch(self, runner: Runner) -> None:
        # The loader is iterated after this, so every sample of the epoch is prepared in the new state.
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
        """Return the transforms of these classes, at any depth of wrapped data sets and pipelines.

        Raises:
            ValueError: when there is no transform of one of the classes.
            TypeError: when one of the transforms is no `SwitchableTransform`.
        """
        every = list(transforms_of(dataset))
        found = []
        for name in self.names:
            named = [t for t in every if any(c.__name__ == name for c in type(t).__mro__)]
            if not named:
                present = ", ".join(dict.fromkeys(type(t).__name__ for t in every)) or "no transforms at all"
                raise UserError(f"DisableTransformsHook: no {name} in the training data; it has {present}")
            fixed = [type(t).__name__ for t in named if not isinstance(t, SwitchableTransform)]
            if fixed:
                raise TypeError(f"DisableTransformsHook: {fixed[0]} is no SwitchableTransform and cannot be switched")
            found += [t for t in named if t not in found]
        return found


def _name(transform: type | str | LazyObject) -> str:
    if isinstance(transform, LazyObject):
        # mmengine does not resolve classes of a recipe that are items of a list.
        transform = transform.build()
    # A recipe that mmengine dumped has dotted names instead of classes.
    return transform.rpartition(".")[2] if isinstance(transform, str) else transform.__name__
