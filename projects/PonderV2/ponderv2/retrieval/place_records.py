"""When and where each described place was recorded, as an index keeps it beside the vectors."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from ponderv2.errors import UserError
from ponderv2.shapes import Float

EXCLUDED_SECONDS = 30.0
"""Key frames of one log closer in time are neither right nor wrong answers: they are of the same pass."""


@dataclass(frozen=True)
class PlaceRecord:
    """Where and when a key frame was recorded.

    Attributes:
        token: token of the key frame.
        location: map that the position belongs to; positions of two of them cannot be compared.
        log: name of the log, the recording that the key frame is part of.
        time: seconds.
        x: position of the car on the map, metres.
        y: likewise.
        lidar_path: file of the sweep, relative to the folder of the data.
        image_path: file of the front camera's picture, likewise; empty where there is none.
        sweep_hash: start of the SHA-256 of the sweep's file, by which it is known again: synthetic data sets of one
            seed share the names of their files; empty where the file was not there.
    """

    token: str
    location: str
    log: str
    time: float
    x: float
    y: float
    lidar_path: str = ""
    image_path: str = ""
    sweep_hash: str = ""


_LATER = {"sweep_hash"}
"""What indices of earlier versions lack."""


def sweep_hash(path: Path) -> str:
    """Return the start of the SHA-256 of a file, 16 hexadecimal digits; empty where there is no file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else ""


def record_of(info: Mapping, front: str = "CAM_FRONT") -> PlaceRecord:
    """Take the record of a key frame from its entry of an info file.

    Raises:
        UserError: the entry lacks a key, as info files of other tools do.
    """
    try:
        pose = np.asarray(info["ego2global"], dtype=np.float64)
        sweep = str(info["lidar_points"]["lidar_path"])
        picture = info.get("images", {}).get(front, {}).get("img_path", "")
        return PlaceRecord(
            token=str(info["token"]),
            location=str(info["map_location"]),
            # nuScenes names recordings <log>__<channel>__<time>.
            log=sweep.rsplit("/", 1)[-1].split("__")[0],
            time=float(info["timestamp"]),
            x=float(pose[0, 3]),
            y=float(pose[1, 3]),
            lidar_path=f"samples/LIDAR_TOP/{sweep.rsplit('/', 1)[-1]}",
            image_path=f"samples/{front}/{str(picture).rsplit('/', 1)[-1]}" if picture else "",
            sweep_hash=sweep_hash(Path(sweep)),
        )
    except KeyError as error:
        raise UserError(
            f"key frame {info.get('token')}: {error} is missing, by which places are known; make the info file with "
            "tools/create_data.py"
        ) from error


def records_from_json(content: object, where: str) -> list[PlaceRecord]:
    """Read records; `where` says in errors where they stand.

    Raises:
        UserError: they are not a list of records with finite numbers, two have one token, or a path leads out of the
            folder of the data.
    """
    kinds = {field.name: field.type for field in fields(PlaceRecord)}
    if not isinstance(content, list):
        raise UserError(f"{where}: expected a list of places")
    records, seen = [], set()
    for number, entry in enumerate(content):
        if not isinstance(entry, Mapping) or set(entry) | _LATER != set(kinds):
            raise UserError(f"{where}: place {number}: expected the keys {sorted(kinds)}")
        for name in entry:
            kind, value = kinds[name], entry[name]
            fits = isinstance(value, str) if kind is str else isinstance(value, float) and math.isfinite(value)
            if not fits:
                raise UserError(f"{where}: place {number}: {name}: expected a finite {kind.__name__}, got {value!r}")
        for name in ("lidar_path", "image_path"):
            if entry[name].startswith("/") or ".." in entry[name].split("/"):
                raise UserError(f"{where}: place {number}: {name} leads out of the folder of the data: {entry[name]}")
        if entry["token"] in seen:
            raise UserError(f"{where}: place {number}: the token {entry['token']} is there twice")
        seen.add(entry["token"])
        records.append(PlaceRecord(**entry))
    return records


def records_to_json(records: Sequence[PlaceRecord]) -> list[dict]:
    """Return records as plain values."""
    return [asdict(record) for record in records]


def positions_of(records: Sequence[PlaceRecord]) -> Float[np.ndarray, "n 2"]:
    """Return the positions of records on their maps, metres."""
    return np.array([(record.x, record.y) for record in records], dtype=np.float64).reshape(-1, 2)


@dataclass(frozen=True)
class Relation:
    """How a query and a place lie to each other.

    Attributes:
        same_map: whether both are on one map.
        distance: metres between them, infinite between two maps.
        same_pass: whether both are of one pass: of one log, less than 30 s apart.
    """

    same_map: bool
    distance: float
    same_pass: bool


def relation(query: PlaceRecord, place: PlaceRecord) -> Relation:
    """Compare a query with a place."""
    same_map = query.location == place.location
    distance = math.hypot(query.x - place.x, query.y - place.y) if same_map else math.inf
    same_pass = query.log == place.log and abs(query.time - place.time) < EXCLUDED_SECONDS
    return Relation(same_map, distance, same_pass)
