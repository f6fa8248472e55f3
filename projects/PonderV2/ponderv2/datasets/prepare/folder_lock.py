"""One process at a time makes outputs in a folder."""

import errno
import fcntl
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .nuscenes_tables import PreparationError

LOCK_NAME = ".create_data.lock"

# Lock files that this process holds, so that blocks nest.
_held: set[Path] = set()


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder of outputs while the block runs. Blocks of one process nest.

    The lock is the kernel's (`flock`) on a file in the folder that is deleted at the end. It ends with the process
    that holds it, however that ends, so the file of a killed one is in nobody's way. Hosts that share a folder keep
    each other out where the file system passes locks on: NFS, CephFS, GPFS, Lustre mounted with `flock`. Where it
    keeps them on each host (Lustre with `localflock`, some FUSE file systems) two hosts are not told of each other;
    where it has none, there is a warning. Even then files come whole, but one of the two ends with an error.

    Raises:
        PreparationError: another process has the lock; it is named, and not waited for.
        OSError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder.resolve() / LOCK_NAME
    if path in _held:
        yield
        return
    lock = _acquire(path)
    _held.add(path)
    try:
        yield
    finally:
        _held.discard(path)
        # Deleted before it is let go: whoever opened it meanwhile finds out that it is not the one with the name.
        path.unlink(missing_ok=True)
        os.close(lock)


def _acquire(path: Path) -> int:
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _flock(lock, path)
            if path.exists() and os.path.samestat(os.fstat(lock), path.stat()):
                os.ftruncate(lock, 0)
                os.write(lock, f"process {os.getpid()} on {socket.gethostname()}".encode())
                return lock
        except BaseException:
            os.close(lock)
            raise
        # The process before deleted it between our opening and locking.
        os.close(lock)


def _flock(lock: int, path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(lock, 300).decode(errors="replace") or "another process"
        raise PreparationError(
            f"{holder} is making data in {path.parent} already; wait until it has ended, or give another --out"
        ) from error
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK):
            raise
        warnings.warn(
            f"the file system of {path.parent} has no locks ({error.strerror}): see to it that no other process "
            "makes data there",
            stacklevel=2,
        )
