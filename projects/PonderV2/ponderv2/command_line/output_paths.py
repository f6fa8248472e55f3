"""Outputs are tried before the work starts, not when hours of it are to be written."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
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


def writable_checkpoint(path: Path, option: str, inputs: Sequence[Path], overwrite: bool) -> None:
    """Check as `writable_file` does that a checkpoint can be written, and that nothing of the user's is lost.

    Args:
        path: the checkpoint.
        option: the option that names it, for the error.
        inputs: files that are read for it.
        overwrite: whether another file may be replaced.

    Raises:
        UserError: it cannot be written, its name does not end in .pth, it is one of the inputs, or it is there already
            and may not be replaced.
    """
    writable_file(path, option)
    if path.suffix != ".pth":
        raise UserError(f"{option} {path}: expected a file *.pth")
    if not path.exists():
        return
    same = next((given for given in inputs if given.exists() and path.samefile(given)), None)
    if same is not None:
        raise UserError(f"{option} {path}: is the input {same}, which would be lost; give another {option}")
    if not overwrite:
        raise UserError(f"{option} {path}: is there already; give --overwrite to replace it, or another {option}")


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


@contextmanager
def output_folder(path: Path, option: str) -> Iterator[None]:
    """Make a folder as `writable_folder` does, and take it away again where the block ends with an error and left
    nothing in it."""
    existed = path.exists()
    writable_folder(path, option)
    try:
        yield
    except BaseException:
        if not existed:
            # Only an empty one goes.
            with suppress(OSError):
                path.rmdir()
        raise


def _reason(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    return f"{(error.strerror or str(error)).lower()}{where}"
