"""Key frames as the checks see them: their info, and their points and images, which are read when asked for."""

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from ponderv2.datasets.data_files import read_image, read_point_file
from ponderv2.datasets.info_file import InfoFileError
from ponderv2.datasets.nuscenes_constants import LIDAR
from ponderv2.shapes import Float, Int


class SampledFrame:
    """One key frame of an info file.

    Args:
        info: entry of the key frame in `data_list`.
        root: folder with `samples/` and `sweeps/`.
        categories: class names by label.
        version: version of the tables, which names the folder of the labels of points.
    """

    def __init__(self, info: dict, root: Path, categories: dict[int, str], version: str = "v1.0-trainval") -> None:
        self.info = info
        self.root = root
        self.name = f"key frame {info.get('token', info.get('sample_idx'))}"
        self.categories = categories
        self.version = version

    @cached_property
    def instances(self) -> list[dict]:
        """The objects with a box that can be looked at, see `unsound_boxes`."""
        return [i for k, i in enumerate(self.info.get("instances", [])) if k not in self.unsound_boxes]

    @cached_property
    def unsound_boxes(self) -> dict[int, str]:
        """The boxes that are not of seven or more finite numbers with sizes above 0, by place, and what is wrong.

        Raises:
            InfoFileError: a box is of something else than numbers.
        """
        found = {}
        for k, instance in enumerate(self.info.get("instances", [])):
            box = self._numbers(instance.get("bbox_3d", []), f"instances[{k}].bbox_3d")
            if box.ndim != 1 or len(box) < 7:
                found[k] = f"has shape {box.shape}"
            elif not np.isfinite(box[:7]).all():
                found[k] = "is not finite"
            elif not (box[3:6] > 0).all():
                found[k] = f"has the sizes {box[3:6].tolist()}"
        return found

    @cached_property
    def class_names(self) -> list[str]:
        """The names of the classes of the objects, "ignored" for other categories."""
        labels = self._integers("bbox_label_3d", -1)
        return [self.categories.get(label, "ignored") for label in labels]

    @cached_property
    def lidar_file(self) -> Path:
        """The path of the key frame's sweep."""
        return self.root / "samples" / LIDAR / Path(self.info["lidar_points"]["lidar_path"]).name

    @cached_property
    def label_file(self) -> Path | None:
        """The path of the labels of the sweep's points; None where the file names none."""
        path = self.info.get("pts_semantic_mask_path")
        return None if path is None else self.root / "lidarseg" / self.version / Path(path).name

    @cached_property
    def points(self) -> Float[np.ndarray, "p 5"]:
        """The points (x, y, z, intensity, ring) of the key frame's sweep, float64."""
        return read_points(self.lidar_file)

    @cached_property
    def boxes(self) -> Float[np.ndarray, "n 7"]:
        """The boxes as the file gives them."""
        return np.array([i["bbox_3d"][:7] for i in self.instances], dtype=np.float64).reshape(-1, 7)

    @cached_property
    def annotated_points(self) -> Int[np.ndarray, "n"]:
        """The numbers of LiDAR points that the file says are in the boxes; -1 where it does not say."""
        return np.array(self._integers("num_lidar_pts", -1), dtype=np.int64)

    @cached_property
    def velocities(self) -> Float[np.ndarray, "n 2"]:
        """The velocities of the boxes in metres a second; NaN where unknown."""
        unknown = (math.nan, math.nan)
        values = [[math.nan if v is None else v for v in i.get("velocity", unknown)[:2]] for i in self.instances]
        velocities = self._numbers(values, "velocity of instances")
        if velocities.shape != (len(values), 2) and values:
            raise InfoFileError(f"{self.name}: velocity of instances: expected two numbers each")
        return velocities.reshape(-1, 2)

    def _numbers(self, value: object, key: str) -> np.ndarray:
        try:
            return np.array(value, dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise InfoFileError(f"{self.name}: {key}: expected numbers: {error}") from error

    def _integers(self, key: str, missing: int) -> list[int]:
        try:
            return [int(instance.get(key, missing)) for instance in self.instances]
        except (TypeError, ValueError, OverflowError) as error:
            raise InfoFileError(f"{self.name}: {key} of instances: expected whole numbers: {error}") from error

    def matrix(self, *keys: str | int, size: int = 4) -> Float[np.ndarray, "m m"] | None:
        """Return a square matrix of the info by its keys; None where the file does not have it.

        Raises:
            InfoFileError: there is something else than a finite matrix of that size.
        """
        value = self.info
        for key in keys:
            if isinstance(value, dict) and key not in value:
                return None
            value = value[key]
        return as_matrix(value, size, f"{self.name}: {'.'.join(map(str, keys))}")

    @cached_property
    def cameras(self) -> tuple[str, ...]:
        """The names of the cameras that the key frame has."""
        return tuple(self.info.get("images", {}))

    def image_file(self, camera: str) -> Path:
        """Return the path of a camera's image."""
        return self.root / "samples" / camera / Path(self.info["images"][camera]["img_path"]).name

    def gray_image(self, camera: str) -> Float[np.ndarray, "h w"]:
        """Read an image in grey, 0–255.

        Raises:
            DataFileError: the image is missing (then it is a FileNotFoundError, too), cut, or cannot be decoded.
        """
        image = read_image(self.image_file(camera))
        return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)

    @cached_property
    def sweeps(self) -> Sequence[dict]:
        """The entries of the earlier sweeps."""
        return self.info.get("lidar_sweeps", [])

    def sweep_file(self, sweep: dict) -> Path:
        """Return the path of an earlier sweep; sweeps that are key frames themselves are under `samples/`."""
        path = sweep["lidar_points"]["lidar_path"]
        return self.root / ("samples" if "samples" in path else "sweeps") / LIDAR / Path(path).name

    def files(self) -> list[Path]:
        """Return the paths of all files that the info names."""
        return [
            self.lidar_file,
            *(self.image_file(camera) for camera in self.cameras),
            *(self.sweep_file(sweep) for sweep in self.sweeps),
        ]


def as_matrix(value: object, size: int, name: str) -> Float[np.ndarray, "m m"]:
    """Convert nested lists to a float64 matrix.

    Raises:
        InfoFileError: it is no finite matrix of that size, or cannot be inverted; the message has the name.
    """
    try:
        matrix = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InfoFileError(f"{name}: expected a {size}×{size} matrix of numbers") from error
    if matrix.shape != (size, size) or not np.isfinite(matrix).all():
        raise InfoFileError(f"{name}: expected a finite {size}×{size} matrix, got shape {matrix.shape}")
    if np.linalg.matrix_rank(matrix) < size:
        raise InfoFileError(f"{name}: expected a matrix that can be inverted")
    return matrix


def read_points(path: Path) -> Float[np.ndarray, "p 5"]:
    """Read the points (x, y, z, intensity, ring) of a nuScenes sweep, float64; those that are not finite are left out.

    Raises:
        DataFileError: the file is missing (then it is a FileNotFoundError, too), empty, or cut.
    """
    points = read_point_file(path).astype(np.float64)
    return points[np.isfinite(points).all(axis=1)]


def transformed(matrix: Float[np.ndarray, "4 4"], points: Float[np.ndarray, "p 3"]) -> Float[np.ndarray, "p 3"]:
    """Apply an affine matrix on column vectors to points."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]
