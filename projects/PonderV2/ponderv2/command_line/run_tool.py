"""One way to start every tool, and one way to end it: what a user can mend is one line."""

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

from ponderv2.compat.quick_imports import install_quick_imports

from .error_lines import line_of

DONE, FAULT, USER, INTERRUPTED = 0, 1, 2, 130
SHOW_TRACEBACKS = "PONDER_TRACEBACK"
"""Environment variable that, set to 1, shows where an error came from also when it is told in one line."""


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
    install_quick_imports()
    try:
        return run(given) or DONE
    except BrokenPipeError:
        # Whoever read the output has gone, as `head` does. Nothing more can be told there, also not on leaving.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAULT
    except (Exception, KeyboardInterrupt) as error:
        if _is_interrupt(error):
            _tell(f"{parser.prog}: interrupted")
            return INTERRUPTED
        line = line_of(error, expected)
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


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether it began with Ctrl-C: the stack has places that catch everything and raise an error of their own."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _tell(line: str) -> None:
    sys.stdout.flush()
    print(line, file=sys.stderr, flush=True)
