"""Outputs are tried before the work starts, not when hours of it are to be written."""

import tempfile
from pathlib import Path

from ponderv2.errors import UserError


def writable_file(path: Path | None, option: str) -> None:
    """Make the folder of a file, and check that the file can be written; what is in it stays.

    Args:
        path: the file; None is left alone, as an output that was not asked for.
        option: the option that names it, for the error.

    Raises:
        UserError: it cannot be written, or it is a folder.
    """
    if path is None:
        return
    if path.is_dir():
        raise UserError(f"{option} {path}: expected a file, found a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        existed = path.exists()
        with path.open("ab"):
            pass
        if not existed:
            path.unlink()
    except OSError as error:
        raise UserError(f"{option} {path}: cannot be written, {_reason(error)}") from error


def writable_folder(path: Path | None, option: str) -> None:
    """Make a folder, and check that files can be made in it; arguments and errors as in `writable_file`."""
    if path is None:
        return
    if path.exists() and not path.is_dir():
        raise UserError(f"{option} {path}: expected a folder, found a file")
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UserError(f"{option} {path}: nothing can be written there, {_reason(error)}") from error


def _reason(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    return f"{(error.strerror or str(error)).lower()}{where}"
