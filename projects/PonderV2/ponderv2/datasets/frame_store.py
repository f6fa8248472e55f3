"""The key frames of an info file, each serialised by itself, and columns to choose from them without decoding any.

An info file of nuScenes' training set becomes gigabytes of Python objects, in every process that loads it. Its store
is made once (`derived_file`), lies in a file that processes map together, and decodes one frame when it is asked for.
"""

import io
import pickle
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np

from ponderv2.shapes import Bool, Float, Int

from .derived_file import Derivation, open_derived
from .info_file import DAMAGED, InfoFileError, load_plain, must_exist, parse_info_file
from .mapped_arrays import ArrayWriter, MappedArrays

_MAX_ENTRY = 256 << 20
"""Bytes that an entry may have when it is unpacked; a key frame has 20,000 to 100,000."""

_COLUMNS = {
    "ends": np.int64,
    "timestamps": np.float64,
    "tokens": np.uint8,
    "scene_tokens": np.uint8,
    "layouts": np.int32,
    "instance_ends": np.int64,
    "labels": np.int32,
    "lidar_points": np.int32,
    "valid": np.bool_,
}


@dataclass(frozen=True)
class InstanceColumns:
    """What says which annotated objects of key frames are kept; one entry for each object.

    Attributes:
        labels: `bbox_label_3d`, -1 where it is missing.
        lidar_points: `num_lidar_pts`, 0 where it is missing.
        valid: `bbox_3d_isvalid`, false where it is missing.
    """

    labels: Int[np.ndarray, "n"]
    lidar_points: Int[np.ndarray, "n"]
    valid: Bool[np.ndarray, "n"]


class FrameStore:
    """Key frames of an info file, decoded one at a time.

    Attributes:
        path: path of the info file.
        metainfo: `metainfo` of the info file; a copy at each access.
        timestamps: time stamps, 0 where the key is missing.
        tokens: tokens, empty where the key is missing; texts of numpy.
        scene_tokens: tokens of the scenes, likewise.
        layouts: number for each frame that is equal for frames with the same keys, at any depth.

    Args:
        path: path of the info file.
        arrays: content of its store.

    Raises:
        InfoFileError: the store contradicts itself.
    """

    def __init__(self, path: Path, arrays: MappedArrays) -> None:
        self.path, self._arrays = path, arrays
        _check(arrays)
        self.timestamps: Float[np.ndarray, "n"] = arrays["timestamps"]
        self.layouts: Int[np.ndarray, "n"] = arrays["layouts"]
        self.tokens, self.scene_tokens = (_texts(arrays[name]) for name in ("tokens", "scene_tokens"))
        # Place of the frame before each in its scene, found when it is first asked for.
        self._before: Int[np.ndarray, "n"] | None = None

    def __len__(self) -> int:
        return len(self.timestamps)

    def __reduce__(self) -> tuple:
        # The columns are views of the arrays, which another process maps anew.
        return FrameStore, (self.path, self._arrays)

    def __deepcopy__(self, memo: dict) -> "FrameStore":
        return self

    @property
    def metainfo(self) -> dict:
        # It lies behind the frames.
        return self._entry(len(self))

    def frame(self, place: int) -> dict:
        """Decode the key frame at a place of `data_list`; each call makes a new one.

        Raises:
            IndexError: there is no such place.
            InfoFileError: the store is damaged there.
        """
        if not 0 <= place < len(self):
            raise IndexError(f"place {place} of {len(self)} key frames")
        return self._entry(place)

    def first_of_each_layout(self) -> list[int]:
        """Return the place of the first frame with each set of keys."""
        return np.unique(self.layouts, return_index=True)[1].tolist()

    def earlier_in_scene(self, place: int, count: int) -> list[int]:
        """Return the places of up to `count` key frames before one in its scene, the oldest first.

        Raises:
            InfoFileError: a key frame of the file has no scene.
        """
        if self._before is None:
            if (self.scene_tokens == b"").any():
                raise InfoFileError(
                    f"info file {self.path}: key frames have no scene_token, so none has an earlier one; make it with "
                    "tools/create_data.py"
                )
            order = np.lexsort((self.timestamps, self.scene_tokens))
            same = self.scene_tokens[order[1:]] == self.scene_tokens[order[:-1]]
            self._before = np.full(len(self), -1)
            self._before[order[1:]] = np.where(same, order[:-1], -1)
        places: list[int] = []
        while len(places) < count and (place := int(self._before[place])) >= 0:
            places.append(place)
        return places[::-1]

    def instances(self, place: int | None = None) -> InstanceColumns:
        """Return the columns of the objects of the frame at a place, or of all frames."""
        ends = self._arrays["instance_ends"]
        start = 0 if not place else int(ends[place - 1])
        end = int(ends[-1 if place is None else place]) if len(ends) else 0
        return InstanceColumns(*(self._arrays[name][start:end] for name in ("labels", "lidar_points", "valid")))

    def instances_per_frame(self) -> Int[np.ndarray, "n"]:
        """Return the number of objects of each frame."""
        return np.diff(self._arrays["instance_ends"], prepend=0)

    def _entry(self, place: int) -> dict:
        ends = self._arrays["ends"]
        packed = self._arrays["stream"][int(ends[place - 1]) if place else 0 : int(ends[place])]
        try:
            unpacker = zlib.decompressobj()
            content = unpacker.decompress(packed, _MAX_ENTRY)
            if not unpacker.eof:
                raise ValueError("cut off, or far too large")
            entry = load_plain(io.BytesIO(content))
            if not isinstance(entry, dict):
                raise ValueError(f"it is a {type(entry).__name__}, expected a dict")
            return entry
        except (zlib.error, *DAMAGED) as error:
            raise InfoFileError(
                f"info file {self.path}: entry {place} of {self._arrays.name} cannot be read: {error}; delete that file"
            ) from error


class FramesByToken(Mapping[str, dict]):
    """The key frames of a store by their tokens, each decoded when it is asked for.

    Args:
        store: key frames, of which each has a token.

    Raises:
        InfoFileError: a key frame has none.
    """

    def __init__(self, store: FrameStore) -> None:
        self.store = store
        self._places = {token: place for place, token in enumerate(store.tokens.astype(str).tolist())}
        if "" in self._places:
            raise InfoFileError(f"info file {store.path}: key frame {self._places['']} has no token")

    def __getitem__(self, token: str) -> dict:
        return self.store.frame(self._places[token])

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def open_frame_store(path: str | Path) -> FrameStore:
    """Open the key frames of an info file in mmdet3d's v2 format (`.pkl` or `.json`), which need not be trusted.

    The store is made from the info file the first time, and again when that has changed: see `open_derived`.

    Raises:
        FileNotFoundError: the file does not exist.
        InfoFileError: the file is damaged, holds anything but plain data, or is of another format.
    """
    path = Path(path)
    must_exist(path)
    return FrameStore(path, open_derived(path, _FRAMES))


def build_frame_store(path: str | Path) -> Path | None:
    """Make the store of an info file, unless it is there; returns its path, or None where it is kept in memory.

    Raises:
        FileNotFoundError: the file does not exist.
        InfoFileError: see `open_frame_store`.
    """
    source = open_frame_store(path)._arrays.source
    return source if isinstance(source, Path) else None


def _derive(file: BufferedIOBase, path: Path, writer: ArrayWriter) -> dict[str, np.ndarray]:
    info = parse_info_file(file, path)
    frames, metainfo = info.pop("data_list"), info["metainfo"]
    for name, value, kind in (("data_list", frames, list), ("metainfo", metainfo, dict)):
        if not isinstance(value, kind):
            raise InfoFileError(f"info file {path}: {name} is a {type(value).__name__}, expected a {kind.__name__}")
    columns: dict[str, list] = {name: [] for name in _COLUMNS}
    layouts: dict[object, int] = {}
    frames.reverse()
    for place in range(len(frames)):
        # Each is let go when it is packed, so that memory goes down from here on.
        frame = frames.pop()
        try:
            _pack(frame, writer)
            columns["ends"].append(writer.size)
            _add_columns(columns, frame, layouts)
        except (ValueError, RecursionError) as error:
            raise InfoFileError(f"info file {path}, key frame {_name(frame, place)}: {error}") from error
    _pack(metainfo, writer)
    columns["ends"].append(writer.size)
    for name in ("tokens", "scene_tokens"):
        texts = np.array([text.encode() for text in columns[name]], dtype=np.bytes_)
        columns[name] = texts.view(np.uint8).reshape(len(texts), texts.itemsize)
    for name in ("labels", "lidar_points"):
        if not all(-(2**31) <= number < 2**31 for number in columns[name]):
            raise InfoFileError(f"info file {path}: {name} of objects are out of range")
    return {name: np.array(columns[name], dtype=dtype) for name, dtype in _COLUMNS.items()}


def _pack(entry: Any, writer: ArrayWriter) -> None:
    # Half of an entry are numbers that do not shrink; the quickest level finds what there is to save.
    writer.append(zlib.compress(pickle.dumps(entry, protocol=5), level=1))


def _add_columns(columns: dict[str, list], frame: Any, layouts: dict[object, int]) -> None:
    if not isinstance(frame, dict):
        raise ValueError(f"it is a {type(frame).__name__}, expected a dict")
    instances = frame.get("instances") or []
    columns["timestamps"] += _values([frame], "timestamp", float, 0.0)
    columns["tokens"].append(str(frame.get("token") or ""))
    columns["scene_tokens"].append(str(frame.get("scene_token") or ""))
    columns["layouts"].append(layouts.setdefault(_layout(frame), len(layouts)))
    columns["labels"] += _values(instances, "bbox_label_3d", int, -1)
    columns["lidar_points"] += _values(instances, "num_lidar_pts", int, 0)
    columns["valid"] += _values(instances, "bbox_3d_isvalid", bool, False)
    columns["instance_ends"].append(len(columns["labels"]))


def _values(entries: list, key: str, kind: type, missing: float) -> list:
    try:
        return [kind(entry.get(key, missing)) for entry in entries]
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        raise ValueError(f"{key}: {error}") from error


def _layout(value: Any) -> object:
    """Return what is equal for values with the same keys at any depth; entries of lists count as a set."""
    if isinstance(value, dict):
        return tuple((key, _layout(inner)) for key, inner in value.items())
    if isinstance(value, list | tuple) and value and isinstance(value[0], dict):
        return frozenset(map(_layout, value))
    return None


def _name(frame: Any, place: int) -> str:
    named = frame if isinstance(frame, dict) else {}
    return str(named.get("token", named.get("sample_idx", place)))


def _texts(column: np.ndarray) -> np.ndarray:
    """Return rows of bytes as numpy's texts, without copying."""
    return column.view(f"S{column.shape[1]}")[:, 0]


def _check(arrays: MappedArrays) -> None:
    """Check that columns are there, of one length, and that what points somewhere points inside.

    Raises:
        InfoFileError: they do not; the message names the column.
    """
    wrong = [
        name
        for name, dtype in _COLUMNS.items()
        if name not in arrays or arrays[name].dtype != dtype or arrays[name].ndim != 1 + name.endswith("tokens")
    ]
    if not wrong:
        frames, instances = len(arrays["timestamps"]), len(arrays["labels"])
        lengths = dict.fromkeys(_COLUMNS, frames) | dict.fromkeys(("labels", "lidar_points", "valid"), instances)
        lengths["ends"] = frames + 1
        wrong = [name for name, length in lengths.items() if len(arrays[name]) != length]
        wrong += [name for name in ("tokens", "scene_tokens") if not arrays[name].shape[1]]
    for name, end in () if wrong else (("ends", len(arrays["stream"])), ("instance_ends", instances)):
        steps = np.diff(arrays[name], prepend=0)
        if (steps < 0).any() or steps.sum() > end:
            wrong.append(name)
    if wrong:
        raise InfoFileError(f"{arrays.name} is no store of key frames: {wrong} are not as expected")


_FRAMES = Derivation(suffix=".frames", layout=1, derive=_derive, check=_check)
