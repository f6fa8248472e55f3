"""Signals end a training with a checkpoint."""

from collections.abc import Sequence
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ponderv2.atomic_files import write_atomically
from ponderv2.checkpoints import INTERRUPTED
from ponderv2.engine.stop_signals import StopSignals, end_after, written_for_all


class StopOnSignalHook(Hook):
    """Writes a checkpoint and ends the process, after the step of the optimizer in which a signal came.

    Between the iterations of one step (`accumulative_counts`) it waits: gradients are as large as the weights. Where
    the checkpoint cannot be written, all processes end with an error, and none asks to be started again.

    Args:
        signals: what notes the signals.
    """

    # After all that belongs to the iteration.
    priority = "LOWEST"

    def __init__(self, signals: StopSignals) -> None:
        self.signals = signals

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
