"""Processes that tests interrupt, kill, or give little space."""

import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.context import ForkProcess
from pathlib import Path


@contextmanager
def forked(function: Callable[[], object], errors: Path) -> Iterator[ForkProcess]:
    """Run a function in a forked process and group of its own, its output in a file; killed at the end of the block."""

    def run() -> None:
        os.setpgid(0, 0)
        # A shell that starts its jobs in the background lets them ignore it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        output = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        # pytest has put files of its own in their places.
        sys.stdout, sys.stderr = (os.fdopen(place, "w", buffering=1, closefd=False) for place in (1, 2))
        function()

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def run_two_processes(function: Callable[[Path, int], object], folder: Path) -> None:
    """Run a function of a folder and a rank in two processes; both have to end well."""
    errors = [folder / f"errors_{rank}.txt" for rank in range(2)]
    with (
        forked(partial(function, folder, 0), errors[0]) as first,
        forked(partial(function, folder, 1), errors[1]) as second,
    ):
        first.join(120)
        second.join(20)
    assert (first.exitcode, second.exitcode) == (0, 0), "".join(path.read_text() for path in errors)


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: it does not.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"nothing happened in {seconds} s")
        time.sleep(0.02)


def spawned_by(pid: int) -> list[int]:
    """Processes that multiprocessing has spawned for a process, without its own one for resources."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def is_running(pid: int) -> bool:
    """Whether a process is there and has not ended; one that nobody has asked after is a zombie, and has."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Let the system refuse larger files, as it does when a disk is full: the error is a real one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
