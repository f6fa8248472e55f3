"""Signals that ask a training to write a checkpoint and end, and the exit code that says it can go on."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import torch
from mmengine.device import get_device
from mmengine.dist import all_reduce, get_world_size

from ponderv2.errors import UserError

REQUEUE = os.EX_TEMPFAIL
"""Exit code 75 of a training that a signal ended: its checkpoint is written, `--resume` goes on. After Ctrl-C it is 130
as always; 0 is a training that is done, anything else a fault, which would be met again."""

STOP_SIGNALS = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)
"""Signals that end a training after the iteration it is in: of Slurm's `--signal=USR1@SECONDS`, of the end of a time
limit, `scancel` and preemption, and of Ctrl-C."""


class StopSignals:
    """Notes stop signals while a training listens, until the end of an iteration asks for them.

    A second Ctrl-C ends the training at once, as without this class.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | int = 0
        self._reduced: torch.Tensor | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Note signals in the block. What is ignored, as by a shell for its jobs in the background, stays ignored."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        heard = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self._note) for number in heard}
        self._interrupt = before.get(signal.SIGINT)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == self.received == signal.SIGINT and callable(self._interrupt):
            self._interrupt(number, frame)
        self.received = signal.Signals(number)

    def agreed(self) -> signal.Signals | int:
        """Return the signal after which all processes stop here, 0 where there is none; all ask after each iteration.

        Processes get a signal in different iterations. Each asks what was received anywhere up to the iteration before:
        that is on the device already, so that no one waits for it.
        """
        if get_world_size() == 1:
            return self.received
        reduced, self._reduced = self._reduced, torch.tensor(int(self.received), device=get_device())
        all_reduce(self._reduced, op="max")
        return signal.Signals(int(reduced)) if reduced else 0


def outlive_signals(worker_id: int, initialize: Callable[[int], None] | None = None) -> None:
    """Let a process that loads data leave stop signals to the training, which needs it until the iteration ends.

    Slurm, a terminal and torchrun signal all processes of a job. SIGTERM of the training itself, or of
    multiprocessing when that ends, is obeyed: the kernel tells who sent it.

    Args:
        worker_id: number of the process.
        initialize: what else it does when it starts.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    # Threads that start later do not get it either, so that the one below does.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    training = multiprocessing.parent_process().pid
    threading.Thread(target=_end_when_told_by, args=(training,), daemon=True).start()
    if initialize is not None:
        initialize(worker_id)


def _end_when_told_by(process: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != process:
        pass
    os._exit(os.EX_OK)


@contextmanager
def written_for_all(path: Path) -> Iterator[None]:
    """Let all processes leave a block together, in which the main one writes a file.

    Raises:
        UserError: it could not; the main process raises what it met itself.
    """
    written = torch.zeros(1, device=get_device())
    try:
        yield
        written += 1
    except Exception:
        # Others may be waiting below.
        all_reduce(written, op="min")
        raise
    all_reduce(written, op="min")
    if not written.item():
        raise UserError(f"the main process could not write {path}, so nothing goes on from it; its own error says why")


def end_after(number: int) -> None:
    """End the process as a signal asks, after the checkpoint was written.

    Raises:
        KeyboardInterrupt: for Ctrl-C.
        SystemExit: with `REQUEUE` for other signals.
    """
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(REQUEUE)
