"""Loading of images, calibration and LiDAR sweeps.

Matrices are kept as calibrated, in float64; augmentation only ever changes `lidar_aug` and `img_aug`, and
`geometry.compose_rig` brings them together once, at the end.
"""

from logging import WARNING

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet3d.structures import LiDARPoints
from mmengine.logging import print_log

from ponderv2.datasets.data_files import DataFileError, MissingCameraError, read_images, read_point_file
from ponderv2.datasets.info_file import InfoFileError
from ponderv2.datasets.nuscenes_constants import CAMERAS
from ponderv2.geometry import compose_rig
from ponderv2.registry import TRANSFORMS
from ponderv2.shapes import Float
from ponderv2.structures import CameraRig


@TRANSFORMS.register_module()
class LoadCameras(BaseTransform):
    """Load the images and the calibration of the cameras, in a fixed order.

    The transform adds `img` (list of N uint8 RGB images `[H, W, 3]`, see `read_images`; only with `decode`), `cameras`
    (names), `image_sizes` and `original_sizes` `[N, 2]` (height, width), and in float64 `lidar2cam`, `cam2img`,
    `img_aug` `[N, 4, 4]` and `lidar_aug` `[4, 4]`.

    Args:
        cameras: names of the cameras, in the order of the views.
        decode: whether image files are read; without it no file is opened, and only the calibration is loaded.
        image_size: (height, width) of images that are not decoded and whose size the info file does not tell.

    Raises:
        InfoFileError: a camera or its file name is missing, or a matrix has a wrong shape, is not finite or cannot
            be inverted.
        DataFileError: an image is missing (then it is a FileNotFoundError, too), empty, cut, or cannot be decoded.
    """

    def __init__(
        self,
        cameras: tuple[str, ...] = CAMERAS,
        decode: bool = True,
        image_size: tuple[int, int] = (900, 1600),
    ) -> None:
        self.cameras = tuple(cameras)
        self.decode = decode
        self.image_size = tuple(image_size)

    def transform(self, results: dict) -> dict:
        where = results.get("info_name", "sample")
        missing = [c for c in self.cameras if c not in results["images"]]
        if missing:
            raise MissingCameraError(f"{where}: images has no {missing}; it has {sorted(results['images'])}")
        infos = [results["images"][name] for name in self.cameras]
        keys = [f"{where}: images.{name}" for name in self.cameras]
        if self.decode:
            results["img"] = _decoded(infos, keys)
            sizes = [image.shape[:2] for image in results["img"]]
        else:
            height, width = self.image_size
            sizes = [(info.get("height", height), info.get("width", width)) for info in infos]
        count = len(self.cameras)
        cam2img = np.tile(np.eye(4), (count, 1, 1))
        cam2img[:, :3, :3] = _matrices(infos, "cam2img", (3, 3), keys)
        results["cameras"] = self.cameras
        results["image_sizes"] = np.array(sizes, dtype=np.int64).reshape(count, 2)
        results["original_sizes"] = results["image_sizes"].copy()
        results["lidar2cam"] = _matrices(infos, "lidar2cam", (4, 4), keys)
        results["cam2img"] = cam2img
        results["img_aug"] = np.tile(np.eye(4), (count, 1, 1))
        results.setdefault("lidar_aug", np.eye(4))
        return results


@TRANSFORMS.register_module()
class LoadLidarSweeps(BaseTransform):
    """Load the points of the key frame, and those of earlier sweeps moved into its LiDAR frame.

    The transform adds `points` `[P, 5]`: (x, y, z, intensity, time lag in seconds), the key frame first, with lag 0;
    and `key_frame_rows`, for each point of the key frame's file its row in `points`, or -1 where it was dropped.
    A sweep's `lidar2sensor` M maps key-frame LiDAR to sweep LiDAR, so its points are moved by the inverse of M. (The
    loader of mmdet3d 1.4 computes Rᵀp - t instead of Rᵀ(p - t), which is off by half a metre while the car
    turns; mmdetection3d#3054.)

    Points that are not finite are dropped and counted in the log.

    Args:
        num_sweeps: number of earlier sweeps; published 9, and 0 where a single sweep is used.
        remove_close: |x| and |y| in metres below which points of earlier sweeps are dropped, as the car itself.
        test_mode: whether the nearest sweeps in time are taken, rather than a random choice.
        load_dim: number of float32 values of a point in the file, which begin with x, y, z, intensity, ring.

    Raises:
        InfoFileError: a sweep's matrix is missing or has a wrong shape.
        DataFileError: a file is missing (then it is a FileNotFoundError, too), empty, or cut, or no point is finite.
    """

    def __init__(
        self, num_sweeps: int = 0, remove_close: float = 1.0, test_mode: bool = False, load_dim: int = 5
    ) -> None:
        self.num_sweeps = num_sweeps
        self.remove_close = remove_close
        self.test_mode = test_mode
        self.load_dim = load_dim

    def transform(self, results: dict) -> dict:
        where = results.get("info_name", "sample")
        lidar = results["lidar_points"]
        key_points, finite = self._read(lidar["lidar_path"], f"{where}: lidar_points.lidar_path")
        key_points[:, 4] = 0.0
        points = [key_points]
        results["key_frame_rows"] = np.where(finite, np.cumsum(finite) - 1, -1)
        sweeps = results.get("lidar_sweeps", [])
        if self.num_sweeps and len(sweeps) > self.num_sweeps:
            order = range(len(sweeps)) if self.test_mode else np.random.permutation(len(sweeps))
            sweeps = [sweeps[k] for k in sorted(order[: self.num_sweeps])]
        for k, sweep in enumerate(sweeps if self.num_sweeps else []):
            points.append(self._sweep(sweep, results["timestamp"], f"{where}: lidar_sweeps[{k}]"))
        results["points"] = LiDARPoints(np.concatenate(points) if len(points) > 1 else key_points, points_dim=5)
        results.setdefault("lidar_aug", np.eye(4))
        return results

    def _sweep(self, sweep: dict, key_time: float, key: str) -> np.ndarray:
        info = sweep["lidar_points"]
        points, _ = self._read(info["lidar_path"], f"{key}.lidar_points.lidar_path")
        # By coordinate, which is much faster than by rows of two.
        far = (np.abs(points[:, 0]) >= self.remove_close) | (np.abs(points[:, 1]) >= self.remove_close)
        points = points[far]
        to_key = np.linalg.inv(_matrices([info], "lidar2sensor", (4, 4), [f"{key}.lidar_points"])[0])
        points[:, :3] = points[:, :3].astype(np.float64) @ to_key[:3, :3].T + to_key[:3, 3]
        points[:, 4] = key_time - sweep["timestamp"]
        return points

    def _read(self, path: str, key: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the finite points of a file, in an array of their own, and which of its points these are."""
        points = np.ascontiguousarray(read_point_file(path, self.load_dim, f"{key}: point file")[:, :5])
        finite_values = np.isfinite(points)
        # Looked at all together first, which is much faster than row by row.
        if finite_values.all():
            return points, np.ones(len(points), dtype=bool)
        finite = finite_values.all(axis=1)
        print_log(
            f"{path}: dropped {int((~finite).sum())} of {len(points)} points that are not finite",
            logger="current",
            level=WARNING,
        )
        if not finite.any():
            raise DataFileError(f"{key}: point file {path} has no point that is finite; copy it again")
        return points[finite], finite


def rig_of(results: dict) -> CameraRig:
    """Compose the cameras of a sample as the network sees them: calibration and both augmentations, in float64."""
    sizes = torch.from_numpy(results["image_sizes"])
    return compose_rig(
        *(torch.from_numpy(results[k]) for k in ("lidar2cam", "cam2img", "lidar_aug", "img_aug")),
        image_size=sizes,
        padded_size=tuple(int(v) for v in sizes.amax(dim=0)),
    )


def _decoded(infos: list[dict], keys: list[str]) -> list[np.ndarray]:
    for info, key in zip(infos, keys, strict=True):
        if "img_path" not in info:
            raise InfoFileError(f"{key}.img_path is missing")
    return read_images([info["img_path"] for info in infos], [f"{key}.img_path: image" for key in keys])


def _matrices(
    infos: list[dict], name: str, shape: tuple[int, int], keys: list[str]
) -> Float[np.ndarray, "n rows columns"]:
    """Read a matrix of each of some infos, whose keys are named in errors; it can be inverted."""
    matrices = np.array([_matrix(info, name, shape, key) for info, key in zip(infos, keys, strict=True)])
    matrices = matrices.reshape(len(infos), *shape)
    # All at once: one by one takes as long as reading the sweep.
    for matrix, key, rank in zip(matrices, keys, np.linalg.matrix_rank(matrices), strict=True):
        if rank < len(matrix):
            raise InfoFileError(f"{key}.{name}: expected a matrix that can be inverted, got {matrix.tolist()}")
    return matrices


def _matrix(info: dict, name: str, shape: tuple[int, int], key: str) -> np.ndarray:
    if name not in info:
        raise InfoFileError(f"{key}.{name} is missing")
    try:
        matrix = np.array(info[name], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InfoFileError(f"{key}.{name}: expected a {shape[0]}×{shape[1]} matrix of numbers") from error
    if matrix.shape != shape:
        raise InfoFileError(f"{key}.{name}: expected a {shape[0]}×{shape[1]} matrix, got shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise InfoFileError(f"{key}.{name} is not finite")
    return matrix
