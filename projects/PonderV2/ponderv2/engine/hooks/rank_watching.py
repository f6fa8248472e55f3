"""A watch over the processes of a training, so that an error or a stall of a collective names the one to blame."""

from collections.abc import Sequence
from logging import WARNING

from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import distributed

from ponderv2.engine.rank_watch import LOADS, STEPS, VALIDATES, WRITES, RankWatch
from ponderv2.registry import HOOKS


@HOOKS.register_module()
class RankWatchHook(Hook):
    """Lets the processes of a training tell each other where they are, see `RankWatch`; does nothing in a single one.

    Collectives themselves say at best that a connection was closed, or that time is up (`env_cfg.dist_cfg.timeout`, in
    seconds). With this hook `BuildingRunner` ends with an error that names the process that is gone or late, and a
    stall is told long before the time is up, which NCCL ends by killing the process.

    Args:
        beat: seconds between two signs of life.
        stalled_after: seconds in one step, or in loading one batch, after which a warning says who is behind.
    """

    priority = "HIGHEST"

    def __init__(self, beat: float = 2.0, stalled_after: float = 120.0) -> None:
        self.beat, self.stalled_after = beat, stalled_after
        self.watch: RankWatch | None = None

    def before_train(self, runner: Runner) -> None:
        if get_world_size() > 1:
            store = distributed.distributed_c10d._get_default_store()
            self.watch = RankWatch(store, get_rank(), get_world_size(), self.beat, self.stalled_after, _tell)
            self._at(runner.iter, LOADS)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Sequence | dict | None = None) -> None:
        self._at(runner.iter, STEPS)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Sequence | dict | None = None, outputs: dict | None = None
    ) -> None:
        self._at(runner.iter + 1, LOADS)

    def before_val(self, runner: Runner) -> None:
        self._at(runner.iter, VALIDATES)

    def after_val(self, runner: Runner) -> None:
        self._at(runner.iter, LOADS)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self._at(runner.iter + 1, WRITES)

    def after_train(self, runner: Runner) -> None:
        if self.watch is not None:
            self.watch.close()
            self.watch = None

    def _at(self, iteration: int, phase: str) -> None:
        if self.watch is not None:
            self.watch.at(iteration, phase)


def _tell(line: str) -> None:
    print_log(line, logger="current", level=WARNING)
