"""Losses for the log that are read from the device many iterations at a time."""

from collections.abc import Sequence

import torch
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.runner import Runner
from torch import Tensor

from ponderv2.registry import HOOKS


def _numbers(tensors: Sequence[Tensor]) -> list[float]:
    """Read tensors of one number each, of any shape, in one transfer from each device."""
    places: dict[torch.device, list[int]] = {}
    for place, tensor in enumerate(tensors):
        places.setdefault(tensor.device, []).append(place)
    numbers = [0.0] * len(tensors)
    for of_device in places.values():
        values = torch.stack([tensors[place].reshape(()).double() for place in of_device]).tolist()
        for place, value in zip(of_device, values, strict=True):
            numbers[place] = value
    return numbers


@HOOKS.register_module()
class GatheredRuntimeInfoHook(RuntimeInfoHook):
    """mmengine's `RuntimeInfoHook`, which here reads the losses of many iterations from the device at once.

    mmengine's own asks for each loss in each iteration as a number, for which the host waits until the device has
    computed it: four times a step in camera pre-training. This one keeps them on the device, and hands all of them to
    the log, in their order and in one transfer, whenever a `LoggerHook` is about to write, an epoch or the training
    ends, validation begins or a checkpoint is saved. What is logged is the same.
    """

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        self._kept: list[dict[str, Tensor | float]] = []
        self._intervals = [hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)]

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Sequence | dict | None = None, outputs: dict | None = None
    ) -> None:
        if outputs is not None:
            self._kept.append({k: v.detach() if isinstance(v, Tensor) else v for k, v in outputs.items()})
        ends = self.end_of_epoch(runner.train_dataloader, batch_idx) or self.is_last_train_iter(runner)
        if ends or any(self.every_n_inner_iters(batch_idx, interval) for interval in self._intervals):
            self._hand_over(runner)

    def before_val(self, runner: Runner) -> None:
        super().before_val(runner)
        self._hand_over(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self._hand_over(runner)
        # The log is part of a checkpoint, which was put together before.
        if "message_hub" in checkpoint:
            checkpoint["message_hub"] = runner.message_hub.state_dict()

    def _hand_over(self, runner: Runner) -> None:
        kept, self._kept = getattr(self, "_kept", []), []
        tensors = [value for outputs in kept for value in outputs.values() if isinstance(value, Tensor)]
        numbers = iter(_numbers(tensors))
        for outputs in kept:
            for name, value in outputs.items():
                runner.message_hub.update_scalar(f"train/{name}", next(numbers) if isinstance(value, Tensor) else value)
