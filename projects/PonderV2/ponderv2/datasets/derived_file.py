"""Files of arrays that are made once from another file, kept beside it, and made anew when that changes."""

import contextlib
import errno
import hashlib
import io
import json
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BufferedIOBase
from logging import INFO, WARNING
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from mmengine.logging import print_log

from ponderv2.errors import UserError

from .mapped_arrays import ArrayWriter, DamagedFileError, MappedArrays

SMALL_BYTES = 16 << 20
"""Size of sources up to which nothing is stored: deriving takes a second, and the memory of a process is no matter."""

_SETTLED_NS = 2_000_000_000
"""Age of a file from which any change shows in its times; the coarsest file systems count in two seconds."""

_NO_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
"""What is wrong with a place, and not with the source: another one may do."""

_TAKEN = (errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY, errno.EEXIST)
"""What is wrong where something else has the name, as a folder, that a file cannot replace."""

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Derivation:
    """What is made from a source file.

    Attributes:
        suffix: what the name of the derived file has behind that of its source, such as ".frames".
        layout: number of the layout of the arrays; it goes up when that changes.
        derive: function that gets the open source, its path and the writer; it appends to the writer's stream and
            returns the other arrays.
        check: function that raises a `UserError` for arrays that contradict each other: no file is trusted.
    """

    suffix: str
    layout: int
    derive: Callable[[BufferedIOBase, Path, ArrayWriter], Mapping[str, np.ndarray]]
    check: Callable[[MappedArrays], object] | None = None


def open_derived(path: Path, derivation: Derivation) -> MappedArrays:
    """Map the arrays that are derived from a source file; they are made when they are missing or out of date.

    They lie beside the source, or in `$XDG_CACHE_HOME/ponderv2` when that folder cannot be written to. One process
    makes them while others wait, and they get their name when they are whole. They fit when size and times of the
    source are those that were noted, or else when its content is, by its hash. Those of a source of at most
    `SMALL_BYTES`, or without any place to write to, are made in memory.

    Raises:
        OSError: the source cannot be read.
        UserError: the source is changed while it is read; and what `derive` raises.
    """
    source = _Source(path)
    if source.stat.st_size <= SMALL_BYTES:
        return _in_memory(source, derivation)
    places = _places(path, derivation.suffix)
    for place in places:
        found = _fitting(place, source, derivation)
        if found is not None:
            return found
    for place in filter(_writable, places):
        try:
            return _made_once(place, source, derivation)
        except OSError as error:
            if error.errno not in (*_NO_PLACE, *_TAKEN):
                raise
            print_log(f"{place} cannot be written: {error.strerror}", logger="current", level=WARNING)
    print_log(
        f"no place for {places[0].name}: make {path.parent} writable, or set XDG_CACHE_HOME to a folder that is; "
        "until then each process keeps what is made from it in its own memory",
        logger="current",
        level=WARNING,
    )
    return _in_memory(source, derivation)


class _Source:
    """A source file as it is at first; its hash is computed when it is asked for, once."""

    def __init__(self, path: Path) -> None:
        self.path, self.stat = path, path.stat()
        self._digest: str | None = None

    def fits(self, noted: dict) -> bool:
        """Tell whether this is what was noted in a derived file."""
        if self.stat.st_size != noted["size"]:
            return False
        return (noted["settled"] and _times(self.stat) == noted["times"]) or self.digest() == noted["digest"]

    def digest(self) -> str:
        if self._digest is None:
            file = _HashingFile(self.path)
            with io.BufferedReader(file, _BLOCK) as reader:
                _drain(reader)
            self._digest = file.hash.hexdigest()
        return self._digest

    def derived(self, derivation: Derivation, out: BufferedIOBase) -> None:
        """Write what is derived, with a note of the very bytes that it is made from.

        Raises:
            UserError: the file was changed meanwhile.
        """
        before = self.path.stat()
        file = _HashingFile(self.path)
        writer = ArrayWriter(out)
        with io.BufferedReader(file, _BLOCK) as reader:
            arrays = derivation.derive(reader, self.path, writer)
            _drain(reader)
        after = self.path.stat()
        if (before.st_size, _times(before)) != (after.st_size, _times(after)):
            raise UserError(f"{self.path} was changed while it was read; start again when it is finished")
        noted = {
            "size": after.st_size,
            "times": _times(after),
            "settled": time.time_ns() - max(_times(after)) > _SETTLED_NS,
            "digest": file.hash.hexdigest(),
        }
        writer.finish(arrays, {"layout": _layout(derivation), "source": json.dumps(noted)})


def _times(stat: os.stat_result) -> list[int]:
    # A copy may have the size and the time of the last change of what was there before, but not the second time.
    return [stat.st_mtime_ns, stat.st_ctime_ns]


def _layout(derivation: Derivation) -> str:
    return f"ponderv2{derivation.suffix} {derivation.layout}"


class _HashingFile(io.RawIOBase):
    """A file that is hashed while it is read."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self.hash = hashlib.blake2b(digest_size=32)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:
        count = self._file.readinto(buffer)
        self.hash.update(memoryview(buffer)[:count])
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def _drain(reader: BufferedIOBase) -> None:
    while reader.read(_BLOCK):
        pass


def _in_memory(source: _Source, derivation: Derivation) -> MappedArrays:
    out = io.BytesIO()
    source.derived(derivation, out)
    return MappedArrays(out.getvalue())


def _places(path: Path, suffix: str) -> list[Path]:
    """Return where a derived file may lie, in order: beside its source, and in the user's cache."""
    folder, name = path.absolute().parent, path.name + suffix
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ponderv2"
    return [folder / name, cache / hashlib.sha256(str(folder).encode()).hexdigest()[:16] / name]


def _writable(place: Path) -> bool:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(place.parent, os.W_OK | os.X_OK)


def _fitting(place: Path, source: _Source, derivation: Derivation) -> MappedArrays | None:
    """Map the derived file of a place, if there is one that fits; anything else that is there is named and left."""
    try:
        # Opening a pipe would wait, and a device has no end.
        if not stat.S_ISREG(place.stat().st_mode):
            raise DamagedFileError(f"{place} is no file")
        found = MappedArrays(place)
        if found.metadata.get("layout") != _layout(derivation):
            raise DamagedFileError(f"{place} is of layout {found.metadata.get('layout')}")
        if not source.fits(json.loads(found.metadata["source"])):
            raise DamagedFileError(f"{place} was made from another state of {source.path}")
        if derivation.check is not None:
            derivation.check(found)
    except FileNotFoundError:
        return None
    except UserError as error:
        print_log(f"not used: {error}", logger="current", level=WARNING)
        return None
    except (OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        print_log(f"not used: {place}: {error}", logger="current", level=WARNING)
        return None
    return found


def _made_once(place: Path, source: _Source, derivation: Derivation) -> MappedArrays:
    """Make the derived file of a place, unless another process does so meanwhile."""
    # Not named as outputs of create_data.py are, which clears those of killed runs away.
    building = place.with_name(f".{place.name}.building")
    with _locked(place) as alone:
        found = _fitting(place, source, derivation) if alone else None
        if found is not None:
            return found
        if not alone:
            building = place.with_name(f".{place.name}.{os.getpid()}.building")
        print_log(f"making {place} from {source.path}, once; this takes a while", logger="current", level=INFO)
        try:
            with building.open("wb") as out:
                source.derived(derivation, out)
                out.flush()
                os.fsync(out.fileno())
            os.replace(building, place)
        finally:
            building.unlink(missing_ok=True)
    return MappedArrays(place)


@contextlib.contextmanager
def _locked(place: Path) -> Iterator[bool]:
    """Wait until no other process works on a place; yields whether that is certain, which takes a file system's help.

    The lock file stays: without it, two processes could each hold a lock on a file of that name.
    """
    lock = FileLock(place.with_name(f".{place.name}.lock"))
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print_log(f"another process makes {place}; waiting for it", logger="current", level=INFO)
            lock.acquire()
    except (NotImplementedError, OSError) as error:
        print_log(f"{place} is made without a lock: {error}", logger="current", level=WARNING)
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
