"""Errors of collectives, told with the process that is to blame."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.runner import Runner

from ponderv2.errors import UserError

from .hooks import RankWatchHook

_OF_COLLECTIVES = re.compile(
    r"gloo|nccl|timed? ?out|connection (closed|reset|refused)|broken pipe|process ?group", re.IGNORECASE
)


class LostRankError(UserError):
    """Another process of the training is gone, or too late for a collective; the message names it."""


@contextmanager
def naming_lost_ranks(runner: Runner) -> Iterator[None]:
    """Turn what a collective raises when another process is gone or late into an error that names that process.

    Args:
        runner: runner of the training; with a `RankWatchHook`, without one errors pass as they are.

    Raises:
        LostRankError: as said.
    """
    try:
        yield
    except RuntimeError as error:
        watch = next((hook.watch for hook in runner.hooks if isinstance(hook, RankWatchHook)), None)
        if watch is None or isinstance(error, UserError) or not _OF_COLLECTIVES.search(str(error)):
            raise
        missing = watch.missing()
        if not missing:
            raise
        raise LostRankError(
            f"rank {watch.rank} cannot go on without {'; '.join(missing)}. Look at the log of that process; --resume "
            f"goes on from the last checkpoint ({str(error).splitlines()[0][:160]})"
        ) from error
