"""Writing so that a file or a folder is there as a whole or, as before, not at all: kills and full disks included."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Give system errors of the block that name no file, such as "no space left on device", the name of this one."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def unfinished_path(path: Path) -> Path:
    """Return where a file or folder is written before it gets its name; other processes have other places."""
    return path.with_name(f".{path.name}.{os.getpid()}.unfinished")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the block a file to write, which takes the place of `path` in one step, or is gone when the block fails.

    There is never half of a file under the name; an earlier one stays until then.

    Raises:
        OSError: the file cannot be written; the error has its name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = unfinished_path(path)
    try:
        with named_errors(path):
            yield unfinished
            sync(unfinished)
            os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, content: bytes) -> None:
    """Write the content of a file, see `replacing`."""
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)


def sync(path: Path) -> None:
    """Bring a file, or all files of a folder, to the disk, so that a name never comes before its content."""
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        with file.open("rb") as opened:
            os.fsync(opened.fileno())


def put_in_place(new: Path, path: Path) -> None:
    """Give a finished file or folder its name. A folder that has the name is moved aside first, and then deleted."""
    if not new.is_dir():
        os.replace(new, path)
        return
    aside = _aside(path)
    if path.exists():
        os.rename(path, aside)
    os.rename(new, path)
    remove(aside)


def restore(path: Path) -> None:
    """Bring back a folder that was moved aside when its successor was about to come, or delete it if that came."""
    aside = _aside(path)
    if aside.exists() and not path.exists():
        os.rename(aside, path)
    remove(aside)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.replaced")


def remove(path: Path) -> None:
    """Delete a file or a folder, where there is one."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Delete what processes that were killed had begun to write; no other process may be at work in the folder."""
    for path in folder.glob(".*.unfinished"):
        remove(path)
