"""mmengine's loops of training, which go on inside an epoch and load nothing again that was trained on."""

from collections.abc import Iterator, Mapping

from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from ponderv2.errors import UserError


class ExactEpochLoop(EpochBasedTrainLoop):
    """mmengine's loop over epochs; its loader has a `PlacedSampler`, whose position says where an epoch goes on.

    A resumed training begins with the validation that follows the iteration of its checkpoint, if one does.
    """

    def run(self) -> nn.Module:
        """Train, and return the model."""
        self.runner.call_hook("before_train")
        if self.dataloader.sampler.position == 0:
            self._validate()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._validate()
        self.runner.call_hook("after_train")
        return self.runner.model

    def run_epoch(self) -> None:
        """Train for the rest of an epoch."""
        sampler = self.dataloader.sampler
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        done = sampler.position // self.dataloader.batch_size
        for idx, data_batch in enumerate(self.dataloader, done):
            self.run_iter(idx, data_batch)
        sampler.position = 0
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1

    def _validate(self) -> None:
        self._decide_current_val_interval()
        _validate_if_due(self, self._epoch, self._max_epochs)


class ExactIterLoop(IterBasedTrainLoop):
    """mmengine's loop over iterations; otherwise as `ExactEpochLoop`.

    mmengine's own, when it is resumed, loads every batch that was trained on once more, to skip it. It also starts
    loading when it is built, before anyone knows where it is to go on.
    """

    def __init__(self, runner: Runner, dataloader: DataLoader | Mapping, *args: object, **kwargs: object) -> None:
        if isinstance(dataloader, Mapping):
            differ = runner._randomness_cfg.get("diff_rank_seed", False)
            dataloader = runner.build_dataloader(dataloader, seed=runner.seed, diff_rank_seed=differ)
        super().__init__(runner, _Unstarted(dataloader), *args, **kwargs)
        self.dataloader = dataloader

    def run(self) -> nn.Module:
        """Train, and return the model."""
        self.runner.call_hook("before_train")
        sampler = self.dataloader.sampler
        epoch = sampler.epoch
        self.runner.call_hook("before_train_epoch")
        # mmengine's `DistSamplerSeedHook` sets it to the epoch of the runner, which here is 0 always.
        sampler.set_epoch(epoch)
        batches = self._batches()
        self._validate()
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(batches))
            self._validate()
        self.runner.call_hook("after_train_epoch")
        self.runner.call_hook("after_train")
        return self.runner.model

    def _batches(self) -> Iterator[object]:
        """Yield batches without end, epoch after epoch where the sampler is not infinite."""
        if not len(self.dataloader):
            raise UserError("train_dataloader: no batch to train on; with drop_last the batch may be too large")
        sampler = self.dataloader.sampler
        while True:
            yield from self.dataloader
            sampler.set_epoch(sampler.epoch + 1)
            sampler.position = 0

    def _validate(self) -> None:
        self._decide_current_val_interval()
        _validate_if_due(self, self._iter, self._max_iters)


class _Unstarted(list):
    """Stands in for a loader while a loop is built."""

    def __init__(self, loader: DataLoader) -> None:
        self.dataset = loader.dataset


def _validate_if_due(loop: EpochBasedTrainLoop | IterBasedTrainLoop, done: int, last: int) -> None:
    due = done >= max(loop.val_begin, 1) and (done % loop.val_interval == 0 or done == last)
    if due and loop.runner.val_loop is not None:
        loop.runner.val_loop.run()


EXACT_LOOPS = {EpochBasedTrainLoop: ExactEpochLoop, IterBasedTrainLoop: ExactIterLoop}
"""The loop that takes the place of each of mmengine's."""
