"""Worker processes that end with their parent, however that ends, and whose deaths are noticed."""

import gc
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from .nuscenes_tables import PreparationError

# The job and the tasks of a worker process: set in worker processes alone, once, when they start.
_work: tuple[Callable[[Any], None], Sequence[Any]] | None = None


def run_in_processes(job: Callable[[Any], None], tasks: Sequence[Any], workers: int) -> Iterator[None]:
    """Run `job(task)` for every task in some processes; yields when one is finished, in any order.

    Job and tasks reach the processes by forking where the system can, so that tables of gigabytes are shared and not
    copied. An interruption, an error of the job or the end of this process, be it by SIGKILL, ends all of them at
    once. They never see the interruption themselves: this process is told, and it alone speaks.

    Raises:
        PreparationError: a process was killed or ran out of memory.
    """
    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else None
    context = multiprocessing.get_context(method)
    stopped, stop = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, context, initializer=_start, initargs=(job, tasks, stopped))
    # Else the garbage collection of each worker would write to, and thereby copy, all of the tables.
    gc.freeze()
    try:
        with _interruptions_later():
            futures = [pool.submit(_run, k) for k in range(len(tasks))]
        for future in as_completed(futures):
            future.result()
            yield
    except (BrokenProcessPool, MemoryError) as error:
        what = "ran out of memory" if isinstance(error, MemoryError) else "was killed, most likely for lack of memory"
        raise PreparationError(
            f"a worker process {what}; give fewer --workers than {workers}: without --overwrite, the same command "
            "goes on with the scenes that are missing"
        ) from error
    finally:
        # Idle workers end at once as well. Nobody reads the message, so each of them sees that it is there.
        stop.send_bytes(b"stop")
        pool.shutdown()
        gc.unfreeze()
        stop.close()
        stopped.close()


@contextmanager
def _interruptions_later() -> Iterator[None]:
    """Hold Ctrl-C back while the block runs; processes and threads that start in it never get it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _start(job: Callable[[Any], None], tasks: Sequence[Any], stopped: multiprocessing.connection.Connection) -> None:
    global _work
    _work = job, tasks
    threading.Thread(target=_end_with_parent, args=(stopped,), daemon=True).start()


def _end_with_parent(stopped: multiprocessing.connection.Connection) -> None:
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel, stopped])
    os._exit(1)


def _run(number: int) -> None:
    job, tasks = _work
    job(tasks[number])
