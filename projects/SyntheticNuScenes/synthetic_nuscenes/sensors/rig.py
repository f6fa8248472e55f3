"""This module describes the recording car: six cameras and a LiDAR, mounted about where nuScenes' are."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial.transform import Rotation


@dataclass(frozen=True)
class Camera:
    """A `Camera` is a pinhole camera, given at nuScenes' full size of 1600 × 900 pixels."""

    channel: str
    focal: float
    """Focal length (pixels)."""
    center: tuple[float, float]
    """Principal point (pixels); integer coordinates are pixel centres."""
    translation: tuple[float, float, float]
    """Position in the ego frame (m)."""
    rotation: tuple[float, float, float, float]
    """Rotation from the camera (x right, y down, z forward) to the ego frame, as a quaternion w, x, y, z."""
    delay: float
    """Time of exposure (s) from the end of the LiDAR's turn: when the LiDAR looks where the camera does."""

    def intrinsic(self, width: int, height: int) -> Float[ndarray, "3 3"]:
        """Return the camera matrix for an image size.

        Resizing keeps the outer edges of the image, hence the half pixels.
        """
        x, y = width / FULL_SIZE[0], height / FULL_SIZE[1]
        u, v = (self.center[0] + 0.5) * x - 0.5, (self.center[1] + 0.5) * y - 0.5
        return np.array([[self.focal * x, 0.0, u], [0.0, self.focal * y, v], [0.0, 0.0, 1.0]])

    def to_ego(self) -> Float[ndarray, "4 4"]:
        """Return the matrix from the camera to the ego frame."""
        return rigid(self.translation, self.rotation)


FULL_SIZE = (1600, 900)
CAMERAS = (
    Camera("CAM_FRONT", 1266.0, (816.0, 491.0), (1.701, 0.016, 1.511), (0.4998, -0.503, 0.4998, -0.4974), -0.0355),
    Camera(
        "CAM_FRONT_RIGHT", 1261.0, (808.0, 495.0), (1.551, -0.493, 1.496), (0.206, -0.2027, 0.6825, -0.6714), -0.0276
    ),
    Camera(
        "CAM_FRONT_LEFT", 1272.0, (827.0, 480.0), (1.524, 0.495, 1.509), (0.6757, -0.6736, 0.2121, -0.2112), -0.0431
    ),
    Camera("CAM_BACK", 809.0, (829.0, 482.0), (0.028, 0.003, 1.579), (0.5038, -0.4974, -0.4942, 0.5045), -0.0104),
    Camera("CAM_BACK_LEFT", 1257.0, (792.0, 493.0), (1.036, 0.485, 1.591), (0.6924, -0.7032, -0.1165, 0.112), -0.0005),
    Camera(
        "CAM_BACK_RIGHT", 1260.0, (807.0, 501.0), (1.015, -0.481, 1.562), (0.1228, -0.1324, -0.7004, 0.6905), -0.0201
    ),
)
"""The six cameras, in the order of mmdet3d's info files."""

LIDAR_TRANSLATION = (0.944, 0.0, 1.84)
LIDAR_ROTATION = (0.7077, -0.0065, 0.0107, -0.7064)
"""Rotation from the LiDAR (x right, y forward, z up) to the ego frame, as a quaternion w, x, y, z."""


def lidar_to_ego() -> Float[ndarray, "4 4"]:
    """Return the matrix from the LiDAR to the ego frame."""
    return rigid(LIDAR_TRANSLATION, LIDAR_ROTATION)


def unit_quaternion(rotation: tuple[float, ...]) -> list[float]:
    """Return a quaternion w, x, y, z scaled to length one, as it goes into tables."""
    value = np.array(rotation)
    return (value / np.linalg.norm(value)).tolist()


def quaternion(matrix: Float[ndarray, "3 3"]) -> list[float]:
    """Return the quaternion w, x, y, z with w ≥ 0 of a rotation matrix."""
    x, y, z, w = Rotation.from_matrix(matrix).as_quat()
    sign = -1.0 if w < 0 else 1.0
    return [float(sign * v) for v in (w, x, y, z)]


def rigid(
    translation: tuple[float, ...] | list[float], rotation: tuple[float, ...] | list[float]
) -> Float[ndarray, "4 4"]:
    """Return the 4×4 matrix of a translation and a quaternion w, x, y, z."""
    w, x, y, z = rotation
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_quat([x, y, z, w]).as_matrix()
    matrix[:3, 3] = translation
    return matrix
