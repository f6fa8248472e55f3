"""This module holds the error that whoever makes a data set can mend, and names the files of system errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class SyntheticDataError(ValueError):
    """A `SyntheticDataError` says in one line which argument, file or process is in the way of a data set."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give system errors of the block that name no file, such as "no space left on device", the name of this one."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
