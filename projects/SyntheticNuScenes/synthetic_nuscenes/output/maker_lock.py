"""This module keeps a second process from making the same data set at the same time."""

import errno
import fcntl
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from synthetic_nuscenes.synthetic_errors import SyntheticDataError


def lock_file(root: Path) -> Path:
    """Return the file that is locked while a data set is made."""
    return root.with_name(f".{root.name}.making.lock")


@contextmanager
def maker_lock(root: Path) -> Iterator[None]:
    """Keep other makers of the data set `root` out while the block runs.

    The lock is the kernel's (`flock`) on a file beside `root`, which is deleted at the end. It ends with its process,
    however that ends, so the file of a killed one is in nobody's way. Hosts that share a folder keep each other out
    where the file system passes locks on: NFS, CephFS, GPFS, Lustre mounted with `flock`. Where it keeps them on each
    host (Lustre with `localflock`, some FUSE file systems) two hosts are not told of each other; where it has none,
    there is a warning.

    Raises:
        SyntheticDataError: another process has the lock; it is named, and not waited for.
        OSError: the folder above cannot be written to.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    path = lock_file(root)
    lock = _acquire(path, root)
    try:
        yield
    finally:
        # Deleted before it is let go: whoever opened it meanwhile finds out that it is not the one with the name.
        path.unlink(missing_ok=True)
        os.close(lock)


def _acquire(path: Path, root: Path) -> int:
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _flock(lock, root)
            if path.exists() and os.path.samestat(os.fstat(lock), path.stat()):
                os.ftruncate(lock, 0)
                os.write(lock, f"process {os.getpid()} on {socket.gethostname()}".encode())
                return lock
        except BaseException:
            os.close(lock)
            raise
        # The process before deleted it between our opening and locking.
        os.close(lock)


def _flock(lock: int, root: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(lock, 300).decode(errors="replace") or "another process"
        raise SyntheticDataError(
            f"{holder} is making {root} already; wait until it has ended, or choose another folder"
        ) from error
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK):
            raise
        warnings.warn(
            f"the file system of {root.parent} has no locks ({error.strerror}): see to it that no other process makes "
            "this data set",
            stacklevel=2,
        )
