"""Outputs of a folder: what each was made from, whether it is as it was written, and when it may be replaced."""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ponderv2.atomic_files import (
    named_errors,
    put_in_place,
    remove,
    remove_unfinished,
    restore,
    sync,
    unfinished_path,
    write_atomically,
)

from .nuscenes_tables import PreparationError

_HASH = re.compile("[0-9a-f]{16,}")
_FILES_HASH = re.compile("(?<= files) [0-9a-f]{8}$")


class Record:
    """The file `prepared.json`, which notes the finished outputs of a folder and what each was made from.

    With it stands what an output was like when it was written: of a file its size, time and hash; of a folder the
    sizes of its files and the hash of its `index.pkl`. An output that is not like that any more is not ours.

    Args:
        folder: folder of the outputs.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "prepared.json"

    def made_from(self, output: Path) -> dict | None:
        """Read what an output was made from; None if that is not noted, or if the output was changed since.

        Raises:
            PreparationError: the record is damaged.
        """
        note = dict(self._read().get(output.name, {}))
        written = note.pop("written", None)
        return note if written and output.exists() and _is_as_written(output, written) else None

    def add(self, output: Path, made_from: dict, written: dict) -> None:
        """Note that an output is finished; `written` is its `state`."""
        content = self._read() | {output.name: made_from | {"written": written}}
        write_atomically(self.path, json.dumps(content, indent=2, sort_keys=True).encode())

    def _read(self) -> dict[str, dict]:
        if not self.path.exists():
            return {}
        try:
            content = json.loads(self.path.read_bytes())
        except ValueError as error:
            raise PreparationError(self._damaged(str(error))) from error
        if not isinstance(content, dict) or not all(isinstance(note, dict) for note in content.values()):
            raise PreparationError(self._damaged("expected a note for each output"))
        return content

    def _damaged(self, why: str) -> str:
        return (
            f"{self.path}, which notes what the outputs beside it were made from, is damaged ({why}); delete it, and "
            "make them anew with --overwrite"
        )


def state(output: Path) -> dict:
    """Describe a file or folder so that a change of it shows, see `Record`."""
    if output.is_dir():
        sizes = {path.name: path.stat().st_size for path in sorted(output.iterdir())}
        return {"sizes": sizes, "index": _hash(output / "index.pkl")}
    return {"bytes": output.stat().st_size, "time": output.stat().st_mtime_ns, "sha256": _hash(output)}


def _is_as_written(output: Path, written: dict) -> bool:
    if output.is_dir():
        found = state(output)
        # What readers put beside the files, such as an index that can be mapped, changes nothing.
        sizes = {name: found["sizes"].get(name) for name in written.get("sizes", {})}
        return found | {"sizes": sizes} == written
    found = output.stat()
    if found.st_size != written.get("bytes"):
        return False
    # A copy may have another time; reading all of it takes seconds, so that is left for then.
    return found.st_mtime_ns == written.get("time") or _hash(output) == written.get("sha256")


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    if path.is_file():
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


class PreparedOutput:
    """A file or folder that is made from parts, in a folder that is locked.

    Attributes:
        parts: folder of its parts. Its name has a hash of what the output is made from, so that parts made from
            something else are never taken for its own.

    Args:
        path: where the output goes.
        made_from: all that its content depends on, as JSON has it.
    """

    def __init__(self, path: Path, made_from: dict) -> None:
        self.path, self.made_from = path, json.loads(json.dumps(made_from))
        self.record = Record(path.parent)
        digest = hashlib.sha256(json.dumps(self.made_from, sort_keys=True).encode()).hexdigest()[:12]
        self.parts = path.parent / "parts" / f"{path.stem}_{digest}"
        self._replaceable = self.parts / "replaceable.json"

    def begin(self, overwrite: bool) -> bool:
        """Clear away what killed runs left; returns False when the output is there already, made from just this.

        With `overwrite` it is to be made in any case, and parts of earlier runs are deleted.

        Raises:
            PreparationError: something else has its name, and is not to be overwritten; or the record is damaged.
        """
        restore(self.path)
        remove_unfinished(self.path.parent)
        found = self.record.made_from(self.path)
        if overwrite:
            for parts in self.parts.parent.glob(f"{self.path.stem}_*"):
                remove(parts)
            if self.path.exists():
                self._allow_replacing(state(self.path))
            return True
        if not self.path.exists():
            return True
        if found == self.made_from:
            return False
        # Of a run with --overwrite that was interrupted, or killed when the output had just come.
        if any(_is_as_written(self.path, allowed) for allowed in self._allowed()):
            return True
        if found is None:
            why = "was made by another tool or an earlier version, or changed since it was made"
        else:
            why = f"was made from other data or with other settings ({_differences(found, self.made_from)})"
        raise PreparationError(f"{self.path} {why}; give --overwrite to replace it, or another --out")

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """Yield where to write the output; at the end of the block it takes its name, is noted, and needs no parts.

        Raises:
            OSError: there is no space, for instance; the output that was there before stays, and so do the parts.
        """
        new = unfinished_path(self.path)
        try:
            with named_errors(self.path):
                yield new
                sync(new)
                written = state(new)
                self._allow_replacing(written)
                put_in_place(new, self.path)
            self.record.add(self.path, self.made_from, written)
        except BaseException:
            remove(new)
            raise
        remove(self.parts)
        if not any(self.parts.parent.iterdir()):
            self.parts.parent.rmdir()

    def _allowed(self) -> list[dict]:
        try:
            return json.loads(self._replaceable.read_bytes())
        except (FileNotFoundError, ValueError):
            # Nothing is allowed by a note that is not there, or damaged.
            return []

    def _allow_replacing(self, found: dict) -> None:
        """Note that what is like this may be replaced by a later run that goes on with these parts."""
        write_atomically(self._replaceable, json.dumps([*self._allowed(), found]).encode())


def _differences(before: dict, now: dict, prefix: str = "") -> str:
    told = []
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            told += [_differences(old, new, f"{prefix}{key}.")] if old != new else []
        elif old != new:
            told.append(_difference(f"{prefix}{key}", old, new))
    return ", ".join(told)


def _difference(key: str, old: object, new: object) -> str:
    """Say in words what changed; hashes say only that something did, and an option that is not noted was not given."""
    if isinstance(old, bool) or isinstance(new, bool):
        old, new = bool(old), bool(new)
    old, new = ("none" if value is None else _FILES_HASH.sub("", str(value)) for value in (old, new))
    if old == new or _HASH.fullmatch(old) or _HASH.fullmatch(new):
        return f"{key} changed"
    return f"{key} {old}, now {new}"
