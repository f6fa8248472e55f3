"""A runner whose messages wait until everything is built, so that an error of a recipe does not follow its dump."""

import logging

from mmengine.logging import MMLogger
from mmengine.runner import Runner


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

    The file of the log has every message at once. Warnings are shown at once, too.
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
