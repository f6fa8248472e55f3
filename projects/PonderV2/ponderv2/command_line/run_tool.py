"""One way to start every tool, and one way to end it: what a user can mend is one line."""

import argparse
import errno
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn

from ponderv2.compat.quick_imports import install_quick_imports

from .error_lines import line_of, lost_while_fetching
from .threads import set_threads

DONE, FAULT, USER, INTERRUPTED = 0, 1, 2, 130
SHOW_TRACEBACKS = "PONDER_TRACEBACK"
"""Environment variable that, set to 1, shows where an error came from also when it is told in one line."""


QUICK_IMPORTS = "PONDER_QUICK_IMPORTS"
"""Environment variable that, set to 0, imports the stack with everything that it can do, see `compat.quick_imports`."""


class _OneLineParser(argparse.ArgumentParser):
    """Tells an error in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(USER, f"{self.prog}: {message} (--help explains)\n")


def run_tool(
    description: str,
    add_arguments: Callable[[argparse.ArgumentParser], None],
    run: Callable[[argparse.Namespace], int | None],
    arguments: Sequence[str] | None = None,
    expected: tuple[type[Exception], ...] = (),
) -> int:
    """Read a command line, run a tool, and return the exit code.

    The codes are 0 or what `run` returns; 2 with one line on the standard error for what a user can mend: a wrong
    argument, `UserError`, a file that cannot be read or written, no space; 130 after Ctrl-C; 1 with a traceback and a
    request for a report for everything else.

    Args:
        description: description of the tool, for `--help`.
        add_arguments: adds the tool's arguments to a parser. It imports nothing heavy.
        run: does the work with the arguments that were read; it imports what it needs itself.
        arguments: the command line; None takes that of the process.
        expected: exceptions beside `UserError` that a user can mend, of packages that know nothing of this one.
    """
    parser = _OneLineParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add_arguments(parser)
    try:
        given = parser.parse_args(arguments)
    except SystemExit as ended:
        return int(ended.code or DONE)
    set_threads()
    if os.environ.get(QUICK_IMPORTS) != "0":
        install_quick_imports()
    interrupts = _note_interrupts()
    try:
        return run(given) or DONE
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, BrokenPipeError) and not lost_while_fetching(error):
            # Whoever read the output has gone, as `head` does. Nothing more can be told there, also not on leaving.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAULT
        if threading.current_thread() is threading.main_thread():
            # Torch's handler raises whenever a loading process ends once one was killed: here, and on leaving.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if interrupts or _is_interrupt(error):
            _tell(f"{parser.prog}: interrupted")
            return INTERRUPTED
        line = line_of(error, expected)
        line = line and line + _where_to(error, given)
        if line is None or os.environ.get(SHOW_TRACEBACKS) == "1":
            traceback.print_exc()
        if line is None:
            _tell(
                f"{parser.prog}: a fault of the program, not of what you gave it; please report it, with the command "
                "and the lines above"
            )
            return FAULT
        _tell(f"{parser.prog}: {line}")
        return USER


def _note_interrupts() -> list[int]:
    """Return a list that has an entry after Ctrl-C: the stack has places that swallow it and fail of something else."""
    seen: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        seen.append(number)
        raise KeyboardInterrupt

    # What is ignored, as by a shell for its jobs in the background, or handled by someone else, stays as it is.
    main = threading.current_thread() is threading.main_thread()
    if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
    return seen


def _where_to(error: BaseException, given: argparse.Namespace) -> str:
    """Name the folder of the outputs where a full disk says nothing of the file."""
    if not isinstance(error, OSError) or error.errno not in (errno.ENOSPC, errno.EDQUOT) or error.filename:
        return ""
    folder = getattr(given, "out", None) or getattr(given, "work_dir", None)
    return "" if folder is None else f" (writing to {folder})"


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether it began with Ctrl-C: the stack has places that catch everything and raise an error of their own."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _tell(line: str) -> None:
    sys.stdout.flush()
    print(line, file=sys.stderr, flush=True)
