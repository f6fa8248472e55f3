"""Processes that end with the study that started them, however it ends."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_WITH_PARENT = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 15); "
    "os.getppid() == int(sys.argv[1]) or sys.exit('the study has ended'); os.execv(sys.argv[2], sys.argv[2:])"
)
"""Program that asks Linux for SIGTERM when its parent dies (PR_SET_PDEATHSIG = 1), and then becomes the command.

A study that is killed at once (SIGKILL, out of memory) cannot end its processes itself. The request outlives `execv`.
It is made by a program instead of subprocess's `preexec_fn`, which may deadlock in a process with threads."""

_running: set[subprocess.Popen] = set()
_lock = threading.Lock()


def launch(command: Sequence[str], log: Path, environment: dict[str, str]) -> int:
    """Run a command as a process and return its exit code; it ends when this process does.

    Args:
        command: the program, as an absolute path, and its arguments.
        log: file that its output is appended to.
        environment: its environment.
    """
    if sys.platform == "linux":
        command = [sys.executable, "-c", _WITH_PARENT, str(os.getpid()), *command]
    with log.open("a") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment)
    with _lock:
        _running.add(process)
    try:
        return process.wait()
    finally:
        with _lock:
            _running.discard(process)


def end_processes(kill: bool = False) -> None:
    """Ask the processes of `launch` to end, or kill them."""
    with _lock:
        for process in _running:
            process.kill() if kill else process.terminate()


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM, SIGHUP and SIGUSR1 raise SystemExit with 128 plus their number, as Ctrl-C raises KeyboardInterrupt.

    SIGUSR1 is what a training is asked by to stop before a limit of time (`ponderv2.engine.stop_signals`). By default
    they end Python at once, without any clean-up. Signals that are ignored (nohup) or handled already stay so, and
    outside of the main thread, where Python takes no signals, nothing is changed.
    """
    changed = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            if signal.getsignal(number) is signal.SIG_DFL:
                changed[number] = signal.signal(number, _exit)
    try:
        yield
    finally:
        for number, handler in changed.items():
            signal.signal(number, handler)


def _exit(number: int, frame: object) -> None:
    raise SystemExit(128 + number)
