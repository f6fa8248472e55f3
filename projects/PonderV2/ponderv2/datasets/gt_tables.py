"""The objects of a ground-truth database as tables, which processes map together instead of loading the index.

The index of nuScenes' training split has a dict for each of about a million objects.
"""

import json
from collections.abc import Collection, Mapping
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from ponderv2.errors import UserError
from ponderv2.shapes import Bool

from .derived_file import Derivation, open_derived
from .gt_database import GroundTruthFiles, files_of, must_be_finished, parse_index
from .mapped_arrays import ArrayWriter, MappedArrays

ROW = np.dtype(
    [
        ("box", np.float64, 7),
        ("velocity", np.float32, 2),
        ("first_point", np.int64),
        ("num_points", np.int64),
        ("camera", "S20"),
        ("frame", np.int32),
        ("first_byte", np.int64),
        ("num_bytes", np.int64),
    ]
)
"""An object: `camera` is empty where there is no picture; `frame` is the place in the list of key frames, or -1."""


class GroundTruthTables(Mapping[str, np.ndarray]):
    """Tables of `ROW`, one for each class, by class name; read-only.

    The first time they are made from the index of the database, see `open_derived`.

    Args:
        folder: folder that `create_gt_database` wrote.

    Attributes:
        files: files of points and pictures.

    Raises:
        FileNotFoundError: the folder holds no finished database.
        UserError: its index is damaged or something else.
    """

    def __init__(self, folder: Path) -> None:
        must_be_finished(folder)
        self.folder = folder
        self._arrays = open_derived(folder / "index.pkl", _TABLES)
        _check(self._arrays)
        content = _content(self._arrays)
        self.files: GroundTruthFiles = files_of(folder, content["metainfo"])
        self._ends: dict[str, int] = content["ends"]

    def __getitem__(self, name: str) -> np.ndarray:
        names = list(self._ends)
        place = names.index(name) if name in self._ends else -1
        if place < 0:
            raise KeyError(name)
        start = self._ends[names[place - 1]] if place else 0
        return self._arrays["rows"].view(ROW)[start : self._ends[name], 0]

    def __iter__(self):
        return iter(self._ends)

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def knows_frames(self) -> bool:
        """Whether every object says which key frame it is from (`sample_token`)."""
        return all((table["frame"] >= 0).all() for table in self.values())

    def from_frames(self, name: str, tokens: Collection[str]) -> Bool[np.ndarray, "n"]:
        """Tell which objects of a class are from key frames with these tokens."""
        frames = self._arrays["frames"]
        chosen = np.isin(frames.view(f"S{frames.shape[1]}")[:, 0].astype(str), list(tokens))
        # The last place is that of objects that do not say.
        return np.append(chosen, False)[self[name]["frame"]]


def _content(arrays: MappedArrays) -> dict:
    """Return the names of the database's files, and where in the rows each class ends."""
    return json.loads(arrays["stream"].tobytes().rstrip(b"\0"))


def _check(arrays: MappedArrays) -> None:
    """Check that what points somewhere points inside: a file that is mapped is not trusted.

    Raises:
        UserError: it does not.
    """
    try:
        rows, frames, content = arrays["rows"], arrays["frames"], _content(arrays)
        ends = list(content["ends"].values())
        fits = rows.dtype == frames.dtype == np.uint8 and rows.shape[1:] == (ROW.itemsize,) and frames.ndim == 2
        fits = fits and isinstance(content["metainfo"], dict) and ends == sorted(ends)
        fits = fits and ends[-1:] in ([], [len(rows)]) and all(end >= 0 for end in ends)
        fits = fits and not (len(rows) and rows.view(ROW)["frame"].max() >= len(frames))
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise UserError(f"{arrays.name} is no table of objects: {error!r}") from error
    if not fits:
        raise UserError(f"{arrays.name} is no table of objects")


def _derive(file: BufferedIOBase, path: Path, writer: ArrayWriter) -> dict[str, np.ndarray]:
    index = parse_index(file, path)
    ends, parts, frames = {}, [], {}
    for name in list(index["objects"]):
        entries = index["objects"].pop(name)
        try:
            parts.append(table_of(entries, frames))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise UserError(f"{path}: an object of class {name} is not as expected: {error!r}; make it anew") from error
        ends[name] = len(entries) + (list(ends.values())[-1] if ends else 0)
    names = {key: index["metainfo"][key] for key in ("lidar_files", "image_files") if key in index["metainfo"]}
    writer.append(json.dumps({"metainfo": names, "ends": ends}).encode())
    rows = np.concatenate(parts) if parts else np.zeros(0, dtype=ROW)
    texts = np.array([token.encode() for token in frames] or [b""], dtype=np.bytes_)
    return {
        "rows": rows.view(np.uint8).reshape(len(rows), ROW.itemsize),
        "frames": texts.view(np.uint8).reshape(len(texts), texts.itemsize),
    }


def table_of(entries: list[dict], frames: dict[str, int]) -> np.ndarray:
    """Make a table of `ROW` from entries of an index; `frames` gets the tokens of key frames, with their places."""
    table = np.zeros(len(entries), dtype=ROW)
    table["box"] = np.array([entry["bbox_3d"][:7] for entry in entries], dtype=np.float64).reshape(-1, 7)
    velocities = [[np.nan if v is None else v for v in entry["velocity"]] for entry in entries]
    table["velocity"] = np.array(velocities, dtype=np.float32).reshape(-1, 2)
    for key in ("first_point", "num_points"):
        table[key] = [entry[key] for entry in entries]
    tokens = [entry.get("sample_token") for entry in entries]
    table["frame"] = [frames.setdefault(token, len(frames)) if token else -1 for token in tokens]
    crops = [entry.get("crop") for entry in entries]
    table["camera"] = [crop["camera"].encode() if crop else b"" for crop in crops]
    for key in ("first_byte", "num_bytes"):
        table[key] = [crop[key] if crop else 0 for crop in crops]
    return table


_TABLES = Derivation(suffix=".tables", layout=1, derive=_derive, check=_check)
