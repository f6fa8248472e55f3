"""One process at a time works on the outputs in a folder."""

import errno
import fcntl
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ponderv2.errors import UserError

# Lock files that this process holds, so that blocks nest.
_held: set[Path] = set()


class FolderInUseError(UserError):
    """Another process works in a folder; the message names it."""


@contextmanager
def folder_lock(folder: Path, name: str, doing: str, option: str) -> Iterator[None]:
    """Keep other processes out of a folder of outputs while the block runs. Blocks of one process nest.

    Args:
        folder: folder of the outputs; it is made where it is not there.
        name: name of the lock file, the same for all who have to keep out of each other's way.
        doing: what is done there, for the error: "making data".
        option: option of the command line that names another folder, for the error: "--out".

    The lock is the kernel's (`lockf`) on a file in the folder that is deleted at the end. It ends with the process
    that holds it, however that ends, so the file of a killed one is in nobody's way; nor do its workers hold it on,
    which outlive it for some seconds. Hosts that share a folder keep each other out where the file system passes locks
    on: NFS, CephFS, GPFS, Lustre mounted with `flock`. Where it keeps them on each host (Lustre with `localflock`, some
    FUSE file systems) two hosts are not told of each other; where it has none, there is a warning. Even then files come
    whole, but one of the two ends with an error.

    Raises:
        FolderInUseError: another process has the lock; it is named, and not waited for.
        OSError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder.resolve() / name
    if path in _held:
        yield
        return
    lock = _acquire(path, doing, option)
    _held.add(path)
    try:
        yield
    finally:
        _held.discard(path)
        # Deleted before it is let go: whoever opened it meanwhile finds out that it is not the one with the name.
        path.unlink(missing_ok=True)
        os.close(lock)


def _acquire(path: Path, doing: str, option: str) -> int:
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(lock, path, doing, option)
            if path.exists() and os.path.samestat(os.fstat(lock), path.stat()):
                os.ftruncate(lock, 0)
                os.write(lock, f"process {os.getpid()} on {socket.gethostname()}".encode())
                return lock
        except BaseException:
            os.close(lock)
            raise
        # The process before deleted it between our opening and locking.
        os.close(lock)


def _lock(lock: int, path: Path, doing: str, option: str) -> None:
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        holder = os.read(lock, 300).decode(errors="replace") or "another process"
        raise FolderInUseError(
            f"{holder} is {doing} in {path.parent} already; wait until it has ended, or give another {option}"
        ) from error
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK):
            raise
        warnings.warn(
            f"the file system of {path.parent} has no locks ({error.strerror}): see to it that no other process "
            "works there",
            stacklevel=2,
        )
