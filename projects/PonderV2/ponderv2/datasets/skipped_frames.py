"""Key frames whose files cannot be read: they end the run, or they are skipped and counted."""

import random
from collections.abc import Callable
from logging import WARNING

import numpy as np
import torch
from mmengine.logging import print_log

from ponderv2.errors import UserError

from .data_files import DataFileError

BAD_FRAMES = ("raise", "skip")
"""What a data set may do with key frames whose files are missing, empty, cut or damaged."""


class TooManyBadFramesError(UserError):
    """More key frames were skipped than a recipe allows; the message names the limit and the last file."""


class SkippedFrames:
    """The key frames that were skipped, counted once each, in memory that the workers of a data loader share.

    Args:
        total: number of key frames of the data set.
        limit: number of different key frames that may be skipped, from each start of the training on.
    """

    def __init__(self, total: int, limit: int) -> None:
        self.limit = limit
        # A byte a frame: workers that skip the same one at the same time write the same.
        self._skipped = torch.zeros(total, dtype=torch.uint8).share_memory_()

    def __len__(self) -> int:
        return int(self._skipped.sum())

    def __contains__(self, index: int) -> bool:
        return bool(self._skipped[index])

    def __deepcopy__(self, memo: dict) -> "SkippedFrames":
        # A copy of the tensor alone would not be shared any more.
        copied = SkippedFrames(len(self._skipped), self.limit)
        copied._skipped.copy_(self._skipped)
        return copied

    def first_readable(self, index: int, read: Callable[[int], dict]) -> dict:
        """Return what `read` makes of a key frame, or of the first behind it that can be read.

        The one that is returned draws from Python's, numpy's and torch's generators what it would if it were tried
        first, so that nothing hangs on which processes, or parts of a resumed training, have met the bad ones.

        Raises:
            TooManyBadFramesError: more cannot be read than the limit, or none can.
        """
        total = len(self._skipped)
        states = random.getstate(), np.random.get_state(), torch.get_rng_state()
        for place in (k % total for k in range(index, index + total)):
            if place in self:
                continue
            try:
                return read(place)
            except DataFileError as error:
                self.add(place, error)
                random.setstate(states[0])
                np.random.set_state(states[1])
                torch.set_rng_state(states[2])
        raise TooManyBadFramesError(f"none of {total} key frames can be read; the log has the first fault of each")

    def add(self, index: int, error: Exception) -> None:
        """Note a key frame, and log it the first time.

        Raises:
            TooManyBadFramesError: there are more than the limit.
        """
        if index in self:
            return
        self._skipped[index] = 1
        count = len(self)
        if count > self.limit:
            raise TooManyBadFramesError(
                f"{count} of {len(self._skipped)} key frames cannot be read, max_bad_frames allows {self.limit}; the "
                f"last: {error}"
            ) from error
        print_log(
            f"skipped a key frame, {count} of at most {self.limit} (max_bad_frames): {error}",
            logger="current",
            level=WARNING,
        )


def check_bad_frames(bad_frames: str, max_bad_frames: int, test_mode: bool) -> None:
    """Check the options of a data set that say what it does with bad frames.

    Raises:
        UserError: an option has no such value, or frames are to be skipped in evaluation, whose score would then be one
            of other frames.
    """
    if bad_frames not in BAD_FRAMES:
        raise UserError(f"bad_frames: expected 'raise' or 'skip', got {bad_frames!r}")
    if not isinstance(max_bad_frames, int) or max_bad_frames < 1:
        raise UserError(f"max_bad_frames: expected a whole number of at least 1, got {max_bad_frames!r}")
    if bad_frames == "skip" and test_mode:
        raise UserError("bad_frames='skip': evaluation needs every key frame; expected 'raise' with test_mode")
