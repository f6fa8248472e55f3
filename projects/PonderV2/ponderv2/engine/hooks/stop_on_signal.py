"""Signals end a training with a checkpoint."""

from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.device import get_device
from mmengine.dist import all_reduce, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ponderv2.atomic_files import write_atomically
from ponderv2.checkpoints import INTERRUPTED
from ponderv2.engine.stop_signals import StopSignals, end_after, written_for_all

from .encoder_export import EncoderExportHook


class StopOnSignalHook(Hook):
    """Writes a checkpoint and ends the process, after the step of the optimizer in which a signal came.

    Between the iterations of one step (`accumulative_counts`) it waits: gradients are as large as the weights. Where
    the checkpoint cannot be written, all processes end with an error, and none asks to be started again.

    A validation is ended in its middle where the last checkpoint is that of the iteration before it: a training that
    resumes from there repeats the validation.

    Args:
        signals: what notes the signals.
    """

    # After all that belongs to the iteration.
    priority = "LOWEST"

    def __init__(self, signals: StopSignals) -> None:
        self.signals = signals
        # Iterations at the last checkpoint, known to the main process.
        self._saved_at: int | None = None
        self._validates = False
        self._asked = 0

    def before_train(self, runner: Runner) -> None:
        if runner._resume:
            self._saved_at = runner.iter

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        # What a validation saves as the best is no checkpoint to resume from.
        if not self._validates:
            self._saved_at = checkpoint["meta"]["iter"]

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Sequence | dict | None = None, outputs: dict | None = None
    ) -> None:
        number = self.signals.agreed()
        if not number or not runner.optim_wrapper.should_update():
            return
        path = Path(runner.work_dir, INTERRUPTED)
        with written_for_all(path):
            runner.save_checkpoint(runner.work_dir, INTERRUPTED, meta=dict(epoch=runner.epoch, iter=runner.iter + 1))
            if is_main_process():
                write_atomically(Path(runner.work_dir, "last_checkpoint"), str(path).encode())
        if is_main_process():
            done = f"stopped by {number.name} after iteration {runner.iter + 1}"
            print(f"{done}; --resume goes on from {path}", flush=True)
        end_after(number)

    def before_val(self, runner: Runner) -> None:
        self._validates = True
        last = Path(runner.work_dir, "last_checkpoint")
        saved = not is_main_process() or (self._saved_at == runner.iter and last.is_file())
        # Processes may have different numbers of batches; all of them ask as often as that with the fewest.
        asked = torch.tensor(len(runner.val_loop.dataloader) if saved else 0, device=get_device())
        all_reduce(asked, op="min")
        self._asked = int(asked)

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Sequence | dict | None = None, outputs: Sequence | None = None
    ) -> None:
        number = self.signals.agreed() if batch_idx < self._asked else 0
        if not number:
            return
        if is_main_process():
            path = Path(runner.work_dir, "last_checkpoint").read_text().strip()
            done = f"stopped by {number.name} in the validation after iteration {runner.iter}"
            print(f"{done}; --resume goes on from {path} and repeats it{_unexported(runner)}", flush=True)
        end_after(number)

    def after_val(self, runner: Runner) -> None:
        self._validates = False


def _unexported(runner: Runner) -> str:
    """Say how to come by the encoder, where all iterations are done and it would have been written next."""
    writes = any(isinstance(hook, EncoderExportHook) for hook in runner.hooks)
    if not writes or runner.iter < runner.max_iters:
        return ""
    return "; the training is done, and tools/export_encoder.py writes its encoder without a validation"
