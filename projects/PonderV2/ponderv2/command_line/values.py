"""Values of arguments, checked while the command line is read: functions for argparse's `type`."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from ponderv2.errors import near_path


def positive(text: str) -> int:
    """Read a whole number of at least 1.

    Raises:
        argparse.ArgumentTypeError: it is anything else; so do all functions of this file.
    """
    return _whole(text, 1)


def non_negative(text: str) -> int:
    """Read a whole number of at least 0."""
    return _whole(text, 0)


def positive_number(text: str) -> float:
    """Read a finite number above 0."""
    value = _number(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return value


def share(text: str) -> float:
    """Read a share: a number above 0 and at most 1."""
    value = _number(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"expected a share above 0 and at most 1, got {text}")
    return value


def existing_file(what: str) -> Callable[[str], Path]:
    """Make a reader of paths of files that have to be there.

    Args:
        what: what such a file is, for the error: "recipe".
    """

    def read(text: str) -> Path:
        path = Path(text).expanduser()
        if path.is_dir():
            raise argparse.ArgumentTypeError(f"expected {_a(what)}, {text} is a folder")
        if not path.is_file():
            raise argparse.ArgumentTypeError(f"{what} {text} does not exist{near_path(path)}")
        return path

    return read


def existing_folder(what: str) -> Callable[[str], Path]:
    """Make a reader of paths of folders that have to be there; `what` as in `existing_file`."""

    def read(text: str) -> Path:
        path = Path(text).expanduser()
        if not path.is_dir():
            state = "is not a folder" if path.exists() else f"does not exist{near_path(path)}"
            raise argparse.ArgumentTypeError(f"{what} {text} {state}")
        return path

    return read


def existing_path(what: str) -> Callable[[str], Path]:
    """Make a reader of paths of files or folders that have to be there; `what` as in `existing_file`."""

    def read(text: str) -> Path:
        path = Path(text).expanduser()
        if not path.exists():
            raise argparse.ArgumentTypeError(f"{what} {text} does not exist{near_path(path)}")
        return path

    return read


def _a(what: str) -> str:
    return f"{'an' if what[0] in 'aeiou' else 'a'} {what}"


def _whole(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least {least}, got {text!r}")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}") from None
