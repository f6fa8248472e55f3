"""This module records scenes in worker processes that end with their parent and whose deaths are noticed."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from tqdm import tqdm

from synthetic_nuscenes.synthetic_errors import SyntheticDataError


def run_jobs(function: Callable[..., None], jobs: Sequence[tuple], workers: int, bar: tqdm) -> Iterator[None]:
    """Call `function(*job)` for each job in some processes; yields when one is finished, in any order.

    An interruption, an error of a job or the end of this process, be it by SIGKILL, ends all of them at once. They
    never see the interruption themselves: this process is told, and it alone speaks.

    Raises:
        SyntheticDataError: a process was killed or ran out of memory.
    """
    context = multiprocessing.get_context("spawn")
    stopped, stop = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, context, initializer=_start, initargs=(stopped,))
    try:
        with _single_threaded(), _interruptions_later():
            waiting = {pool.submit(function, *job) for job in jobs}
        while waiting:
            done, waiting = wait(waiting, timeout=5, return_when=FIRST_COMPLETED)
            # A scene takes a while; the elapsed time shows that it is being made.
            bar.refresh()
            for future in done:
                future.result()
                yield
    except (BrokenProcessPool, MemoryError) as error:
        what = "ran out of memory" if isinstance(error, MemoryError) else "was killed, most likely for lack of memory"
        raise SyntheticDataError(
            f"a worker process {what}; give fewer --workers than {workers}: the same command goes on with the scenes "
            "that are missing"
        ) from error
    finally:
        # Idle workers end at once as well. Nobody reads the message, so each of them sees that it is there.
        stop.send_bytes(b"stop")
        pool.shutdown()
        stop.close()
        stopped.close()


def _start(stopped: multiprocessing.connection.Connection) -> None:
    threading.Thread(target=_end_with_parent, args=(stopped,), daemon=True).start()


def _end_with_parent(stopped: multiprocessing.connection.Connection) -> None:
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel, stopped])
    os._exit(1)


@contextmanager
def _interruptions_later() -> Iterator[None]:
    """Hold Ctrl-C back while the block runs; processes and threads that start in it never get it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Let child processes start with one thread each for linear algebra: they share the cores already."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
