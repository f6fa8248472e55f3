"""The ground-truth database: annotated objects for ground-truth sampling; `prepare.create_gt_database` writes it.

A folder holds one file `lidar_<class>.bin` for each class, with the points of all its objects one after another
(float32: x, y, z relative to the gravity centre in the axes of the LiDAR frame, intensity, time lag in seconds), and
`index.pkl`, which says where each object's points are. A database with images also holds `image_<class>.bin`: JPEG
files of the objects, one after another.
"""

from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from ponderv2.errors import UserError
from ponderv2.garbage_collection import no_garbage_collection
from ponderv2.shapes import Float

from .data_files import DataFileError, decode_image
from .info_file import DAMAGED, load_plain

COLUMNS = ("x", "y", "z", "intensity", "lag")
"""What the float32 numbers of a point mean."""


@dataclass(frozen=True)
class GroundTruthFiles:
    """The files of a database. None is kept open, so that processes can share the object.

    Attributes:
        folder: folder of the database.
        lidar: names of the files of points by class name.
        image: names of the files of crops by class name; empty without crops.
        stamps: size and time of each file when the database was opened, by name; None where it was missing.
    """

    folder: Path
    lidar: dict[str, str]
    image: dict[str, str]
    stamps: dict[str, tuple[int, int] | None]

    def points(self, class_name: str, first_point: int, num_points: int) -> Float[np.ndarray, "q 5"]:
        """Read an object's points, see `COLUMNS`.

        Raises:
            DataFileError: the file ends before them, or is not the one that was there when the database was opened.
            FileNotFoundError: it does not exist.
        """
        width = len(COLUMNS)
        path = self._path(self.lidar[class_name])
        if not 0 <= first_point <= first_point + num_points <= path.stat().st_size // (4 * width):
            end = first_point + num_points
            raise DataFileError(f"{path} ends before the points {first_point} to {end}; make the database anew")
        values = np.fromfile(path, dtype=np.float32, count=num_points * width, offset=first_point * width * 4)
        return values.reshape(-1, width)

    def crop(self, class_name: str, first_byte: int, num_bytes: int) -> np.ndarray:
        """Read the picture of an object, uint8 RGB `[h, w, 3]`.

        Raises:
            DataFileError: the file ends before it, holds no picture there, or is not the one that was there when the
                database was opened.
            FileNotFoundError: it does not exist.
        """
        path = self._path(self.image[class_name])
        content = b""
        if 0 <= first_byte <= first_byte + num_bytes <= path.stat().st_size:
            with path.open("rb") as file:
                file.seek(first_byte)
                content = file.read(num_bytes)
        try:
            return decode_image(content, "a picture")
        except DataFileError as error:
            end = first_byte + num_bytes
            raise DataFileError(f"{path} holds no picture in the bytes {first_byte} to {end}; make it anew") from error

    def _path(self, name: str) -> Path:
        """Return the path of a file, which must be as it was: places in another one are those of other objects."""
        path = self.folder / name
        if _stamp(path) != self.stamps[name]:
            raise DataFileError(
                f"{path} was changed or replaced since the ground-truth database was opened; start again when it is "
                "finished, and make it anew in another folder while a training uses it"
            )
        return path


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return size and time of the last change of a file; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns


def must_be_finished(folder: Path) -> None:
    """Check that a folder holds a whole database, whose index is written last.

    Raises:
        FileNotFoundError: it does not.
    """
    if not (folder / "index.pkl").is_file():
        raise FileNotFoundError(
            f"{folder} holds no finished ground-truth database (index.pkl); run tools/create_data.py"
        )


def parse_index(file: BufferedIOBase, path: Path) -> dict:
    """Read `{metainfo, objects}` from an index that is open.

    Raises:
        UserError: it is damaged, holds anything but plain data, or lacks a key.
    """
    try:
        with no_garbage_collection():
            index = load_plain(file)
        if not isinstance(index["metainfo"]["lidar_files"], dict) or not isinstance(index["objects"], dict):
            raise ValueError("metainfo.lidar_files and objects: expected dicts by class name")
    except DAMAGED as error:
        raise UserError(f"{path} is no index of a ground-truth database: {error}; make it anew") from error
    return index


def files_of(folder: Path, metainfo: dict) -> GroundTruthFiles:
    """Return the files that the `metainfo` of a database names.

    Raises:
        UserError: it names one outside of the folder of the database.
    """
    lidar, image = metainfo["lidar_files"], metainfo.get("image_files", {})
    stamps = {}
    for key, files in (("lidar_files", lidar), ("image_files", image)):
        for class_name, name in files.items():
            if not isinstance(name, str) or name in ("", "..") or name != Path(name).name:
                raise UserError(
                    f"{folder / 'index.pkl'}: metainfo.{key}.{class_name}: expected the name of a file in the "
                    f"database's folder, got {name!r}"
                )
            stamps[name] = _stamp(folder / name)
    return GroundTruthFiles(folder, lidar, image, stamps)


class GroundTruthDatabase:
    """Annotated objects by class, and the points and picture of each.

    Attributes:
        metainfo: record of what the database was made from, `columns`, `lidar_files` and, with crops, `image_files`.
        objects: entries by class name: `class_name`, `label` (place in nuScenes' list of classes), `bbox_3d`
            (x, y, z, l, w, h, yaw; gravity centre), `velocity`, `first_point`, `num_points`,
            `num_key_frame_points`, tokens; with crops `crop`, None where no camera shows the object well:
            `camera`, `box` (left, top, right, bottom; pixels, the last two exclusive), `depth` in metres along
            the optical axis, `first_byte`, `num_bytes`.

    Args:
        folder: folder that `create_gt_database` wrote.

    Raises:
        FileNotFoundError: the folder holds no finished database.
        UserError: its index is damaged or something else.
    """

    def __init__(self, folder: Path) -> None:
        must_be_finished(folder)
        with (folder / "index.pkl").open("rb") as file:
            index = parse_index(file, folder / "index.pkl")
        self.metainfo: dict = index["metainfo"]
        self.objects: dict[str, list[dict]] = index["objects"]
        self.files = files_of(folder, self.metainfo)

    @property
    def has_crops(self) -> bool:
        """Whether the database was made with pictures of the objects."""
        return bool(self.files.image)

    def points(self, entry: dict) -> Float[np.ndarray, "q 5"]:
        """Read an object's points (see `COLUMNS`), relative to the centre of its box; every call returns a copy."""
        return self.files.points(entry["class_name"], entry["first_point"], entry["num_points"])

    def crop(self, entry: dict) -> np.ndarray | None:
        """Read the picture of an object, uint8 RGB `[h, w, 3]`; None where there is none."""
        where = entry.get("crop")
        if where is None:
            return None
        return self.files.crop(entry["class_name"], where["first_byte"], where["num_bytes"])
