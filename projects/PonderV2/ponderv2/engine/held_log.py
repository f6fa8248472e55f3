"""A runner whose messages wait until everything is built, so that an error of a recipe does not follow its dump.

Its checkpoints come whole or not at all.
"""

import logging
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from torch import nn

from ponderv2.atomic_files import replacing
from ponderv2.registry import HOOKS

from .hooks import SafeCheckpointHook
from .lost_ranks import naming_lost_ranks
from .sharded_optimizer import gather_state


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

    def register_hook(self, hook: Hook | dict, priority: int | str | None = None) -> None:
        """Register a hook as mmengine does, `SafeCheckpointHook` in the place of its `CheckpointHook`."""
        if isinstance(hook, dict) and _hook_class(hook.get("type")) is CheckpointHook:
            hook = dict(hook, type=SafeCheckpointHook)
        super().register_hook(hook, priority)

    def train(self) -> nn.Module:
        """Train as mmengine does; an error of a collective names the process that is gone or late."""
        with naming_lost_ranks(self):
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
        if save_optimizer:
            gather_state(self.optim_wrapper)
        options = (file_client_args, save_optimizer, save_param_scheduler, meta, by_epoch, backend_args)
        elsewhere = file_client_args is not None or backend_args is not None or "://" in str(out_dir)
        # The main process alone writes.
        if elsewhere or not is_main_process():
            super().save_checkpoint(out_dir, filename, *options)
            return
        with replacing(Path(out_dir, filename)) as unfinished:
            super().save_checkpoint(out_dir, unfinished.name, *options)


def _hook_class(kind: type | str | None) -> type | None:
    return HOOKS.get(kind) if isinstance(kind, str) else kind
