"""A runner whose messages wait until everything is built, so that an error of a recipe does not follow its dump.

Its checkpoints come whole or not at all, and a training that is resumed from one goes on exactly.
"""

import logging
from functools import partial
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import MMLogger
from mmengine.registry import LOOPS
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from ponderv2.atomic_files import replacing
from ponderv2.registry import HOOKS

from .exact_loops import EXACT_LOOPS
from .hooks import ExactResumeHook, SafeCheckpointHook, StopOnSignalHook, gather_rank_states
from .lost_ranks import naming_lost_ranks
from .seeded_samples import can_have_places, with_places
from .sharded_optimizer import gather_state
from .stop_signals import StopSignals, outlive_signals


class _Held(logging.Filter):
    """Keeps messages below warnings back."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING:
            return True
        self.records.append(record)
        return False


class BuildingRunner(Runner):
    """mmengine's runner, which tells the terminal of the environment, the recipe and the hooks when `tell` is called.

    The file of the log has every message at once. Warnings are shown at once, too. A kill at any moment leaves a
    checkpoint to resume from, once there was one.
    """

    def build_logger(self, *args: object, **kwargs: object) -> MMLogger:
        """Build the logger as mmengine does, and hold it back."""
        logger = super().build_logger(*args, **kwargs)
        terminal = [handler for handler in logger.handlers if not isinstance(handler, logging.FileHandler)]
        self._held = [(handler, _Held()) for handler in terminal]
        for handler, held in self._held:
            handler.addFilter(held)
        return logger

    def tell(self) -> None:
        """Show what was held back, and from now on every message at once."""
        for handler, held in self._held:
            handler.removeFilter(held)
            for record in held.records:
                handler.handle(record)
        self._held = []

    def register_hooks(self, default_hooks: dict | None = None, custom_hooks: list | None = None) -> None:
        """Register the hooks of the recipe, and those of exact resuming and of signals."""
        super().register_hooks(default_hooks, custom_hooks)
        self._signals = StopSignals()
        self.register_hook(ExactResumeHook())
        self.register_hook(StopOnSignalHook(self._signals))

    def register_hook(self, hook: Hook | dict, priority: int | str | None = None) -> None:
        """Register a hook as mmengine does, `SafeCheckpointHook` in the place of its `CheckpointHook`."""
        if isinstance(hook, dict) and _hook_class(hook.get("type")) is CheckpointHook:
            hook = dict(hook, type=SafeCheckpointHook)
        super().register_hook(hook, priority)

    @staticmethod
    def build_dataloader(
        dataloader: DataLoader | dict, seed: int | None = None, diff_rank_seed: bool = False
    ) -> DataLoader:
        """Build a data loader as mmengine does, whose processes leave stop signals to this one."""
        loader = Runner.build_dataloader(dataloader, seed, diff_rank_seed)
        if loader is not dataloader:
            loader.worker_init_fn = partial(outlive_signals, initialize=loader.worker_init_fn)
        return loader

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the exact loop in the place of mmengine's, with samples that are seeded by their place."""
        if not isinstance(loop, BaseLoop):
            loop = dict(loop)
            by_epoch = loop.pop("by_epoch", None)
            kind = loop.get("type", EpochBasedTrainLoop if by_epoch else IterBasedTrainLoop)
            kind = LOOPS.get(kind) if isinstance(kind, str) else kind
            loop["type"] = kind
            if kind in EXACT_LOOPS and can_have_places(self._train_dataloader):
                loop["type"] = EXACT_LOOPS[kind]
                self._train_dataloader = with_places(self._train_dataloader)
        return super().build_train_loop(loop)

    def train(self) -> nn.Module:
        """Train as mmengine does; signals end it with a checkpoint, and an error of a collective names who is gone."""
        with naming_lost_ranks(self), self._signals.listening():
            return super().train()

    def save_checkpoint(
        self,
        out_dir: str,
        filename: str,
        file_client_args: dict | None = None,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        meta: dict | None = None,
        by_epoch: bool = True,
        backend_args: dict | None = None,
    ) -> None:
        """Write a checkpoint as mmengine does, under another name until it is whole where the folder is a local one."""
        options = (file_client_args, save_optimizer, save_param_scheduler, meta, by_epoch, backend_args)
        if save_optimizer:
            # Of all processes, before the others leave.
            gather_state(self.optim_wrapper)
            self.rank_states = gather_rank_states(self.model)
        elsewhere = file_client_args is not None or backend_args is not None or "://" in str(out_dir)
        # The main process alone writes.
        if elsewhere or not is_main_process():
            super().save_checkpoint(out_dir, filename, *options)
            return
        with replacing(Path(out_dir, filename)) as unfinished:
            super().save_checkpoint(out_dir, unfinished.name, *options)


def _hook_class(kind: type | str | None) -> type | None:
    return HOOKS.get(kind) if isinstance(kind, str) else kind
