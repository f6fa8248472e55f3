"""Messages of mmengine's logger, held back."""

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.logging import MMLogger


@contextmanager
def messages_from(lowest: int) -> Iterator[None]:
    """Hold back messages below a level, such as `logging.WARNING`: a line for every parameter, tables of references."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(lowest)
    try:
        yield
    finally:
        logger.setLevel(level)
