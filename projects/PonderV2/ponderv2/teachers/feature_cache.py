"""A cache of a teacher's maps on the disk, with a limit: a second epoch reads what the first computed."""

import fcntl
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from ponderv2.atomic_files import named_errors, unfinished_path
from ponderv2.errors import UserError
from ponderv2.npz_files import read_npz

_LOCK, _USED = ".cache.lock", ".cache.bytes"


class FeatureCache:
    """Maps by key, in float16, one file each, in a folder that several processes may share.

    A file comes under its name as a whole, and has a checksum: what a killed process left, or a disk damaged, is
    computed again, and so is a map of another size or with a number that is not finite. When the next file would exceed
    the limit it is not written, nor is any after it, which the log says once; nothing is deleted, since an epoch that
    reads in another order than the one before would delete just what it needs next. Whoever deletes the folder while it
    is used loses what is in it, and no more.

    Args:
        folder: the folder; it is made where it is not there.
        limit: gigabytes (1e9 bytes) that the files may take together.

    Raises:
        UserError: the limit is not above 0, or the folder cannot be written to.
    """

    def __init__(self, folder: str | Path, limit: float = 50.0) -> None:
        if not limit > 0:
            raise UserError(f"cache limit: expected gigabytes above 0, got {limit}")
        self.folder, self.limit = Path(folder).expanduser(), int(limit * 1e9)
        self.full = False
        self.hits = self.misses = 0
        try:
            with self._locked():
                # Counted anew: a process that was killed may have written a file and not its size. Nobody writes now,
                # so what is unfinished is nobody's.
                for left in self.folder.glob("*/.*.unfinished"):
                    left.unlink(missing_ok=True)
                self._set_used(self._count())
        except OSError as error:
            raise UserError(f"cache {self.folder}: cannot be written to: {error}") from error

    def get(self, key: str, shape: tuple[int, ...]) -> Tensor | None:
        """Return the map of a key in float16, or None where there is none of this shape."""
        path = self._path(key)
        try:
            found = read_npz(path, ["features"])["features"]
            if (found.dtype, found.shape) != (np.float16, tuple(shape)) or not _finite(torch.from_numpy(found)):
                raise UserError(
                    f"{path}: expected finite numbers, float16 of shape {tuple(shape)}, got {found.dtype} {found.shape}"
                )
        except FileNotFoundError:
            found = None
        except UserError as error:
            print_log(f"damaged, and computed again: {error}", logger="current")
            found = None
        self.hits, self.misses = self.hits + (found is not None), self.misses + (found is None)
        return None if found is None else torch.from_numpy(found)

    def put(self, key: str, features: Tensor) -> bool:
        """Keep a map; returns False when it is not kept.

        That is where the folder is full or is deleted meanwhile, or the map has a number that is not finite.

        Raises:
            OSError: the file cannot be written; the error has its name.
        """
        if self.full:
            return False
        content = features.detach().to("cpu", torch.float16).contiguous()
        if not _finite(content):
            print_log(f"features that are not finite are not cached: {key}", logger="current", level=30)
            return False
        try:
            return self._write(self._path(key), content)
        except FileNotFoundError as error:
            print_log(f"{self.folder} was deleted while it was written to: {error}", logger="current", level=30)
            return False

    def _write(self, path: Path, content: Tensor) -> bool:
        with named_errors(path), self._locked():
            path.parent.mkdir(exist_ok=True)
            unfinished = unfinished_path(path)
            try:
                with unfinished.open("wb") as file:
                    np.savez(file, features=content.numpy())
                size = unfinished.stat().st_size
                before = path.stat().st_size if path.is_file() else 0
                used = self._used() - before + size
                if used > self.limit:
                    self.full = True
                    print_log(
                        f"the cache {self.folder} is full: {self._used() / 1e9:.3f} of {self.limit / 1e9:g} GB; what "
                        "is not in it is computed in every epoch. Raise its limit, or delete the folder if it holds "
                        "features of other teachers or data",
                        logger="current",
                        level=30,
                    )
                    return False
                os.replace(unfinished, path)
                self._set_used(used)
            finally:
                unfinished.unlink(missing_ok=True)
        return True

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.npz"

    def _count(self) -> int:
        return sum(path.stat().st_size for path in self.folder.glob("*/*.npz"))

    def _used(self) -> int:
        # Whoever was killed in the middle of writing it left nothing, and others may have left anything.
        with suppress(FileNotFoundError, ValueError):
            used = int((self.folder / _USED).read_text())
            if used >= 0:
                return used
        return self._count()

    def _set_used(self, count: int) -> None:
        (self.folder / _USED).write_text(str(count))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Wait for other writers; the kernel lets go of the lock of a process that ends, however it ends."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / _LOCK).open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _finite(features: Tensor) -> bool:
    # A sum of numbers in float16 is finite in float32, and takes a tenth of the time of `isfinite`.
    return math.isfinite(float(features.sum(dtype=torch.float32)))
