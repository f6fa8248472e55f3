"""Projection of points into images, and the cameras' matrices, which are composed in one place."""

import torch
from torch import Tensor

from ponderv2.shapes import Bool, Float, Int
from ponderv2.structures import CameraRig

MIN_DEPTH = 1e-5
"""Points closer than this to the image plane (metres) have no pixel; the threshold is the published one."""


def transform_points(matrix: Float[Tensor, "*b 4 4"], points: Float[Tensor, "*b p 3"]) -> Float[Tensor, "*b p 3"]:
    """Apply an affine 4×4 matrix to points; in memory, each coordinate of all points is a plane of its own."""
    moved = matrix[..., :3, :3] @ points.transpose(-1, -2) + matrix[..., :3, 3, None]
    return moved.transpose(-1, -2)


def project(
    points: Float[Tensor, "*b p 3"], lidar2img: Float[Tensor, "*b 4 4"]
) -> tuple[Float[Tensor, "*b p 2"], Float[Tensor, "*b p"]]:
    """Compute the pixels (u, v) of points, and their depths along the optical axis.

    Where the depth is not above `MIN_DEPTH` the pixel is meaningless; it is finite all the same.
    """
    uvd = transform_points(lidar2img, points)
    depth = uvd[..., 2]
    return uvd[..., :2] / depth.clamp(min=MIN_DEPTH)[..., None], depth


def in_image(pixels: Float[Tensor, "*b p 2"], image_size: Int[Tensor, "*b 2"]) -> Bool[Tensor, "*b p"]:
    """Tell which pixels (u, v) lie in an image of (height, width) pixels, whose centres have integer coordinates."""
    return ((pixels >= -0.5) & (pixels < image_size.flip(-1)[..., None, :] - 0.5)).all(dim=-1)


def compose_rig(
    lidar2cam: Float[Tensor, "n 4 4"],
    cam2img: Float[Tensor, "n 4 4"],
    lidar_aug: Float[Tensor, "4 4"],
    img_aug: Float[Tensor, "n 4 4"],
    image_size: Int[Tensor, "n 2"],
    padded_size: tuple[int, int],
) -> CameraRig:
    """Compose calibration and augmentation to the matrices of a rig, once and in float64.

    Args:
        lidar2cam: calibrated transform from the LiDAR frame of the key frame to each camera at its own time stamp.
        cam2img: calibrated intrinsics, padded to 4×4.
        lidar_aug: transform from the original to the augmented LiDAR frame.
        img_aug: transform from original to augmented pixels, see `augmentation`.
        image_size: (height, width) of the augmented images without padding.
        padded_size: (height, width) of the images with padding.

    Raises:
        TypeError: when a matrix is not float64.
    """
    for name, matrix in (
        ("lidar2cam", lidar2cam),
        ("cam2img", cam2img),
        ("lidar_aug", lidar_aug),
        ("img_aug", img_aug),
    ):
        if matrix.dtype != torch.float64:
            raise TypeError(f"{name}: calibration is composed in float64, got {matrix.dtype}")
    augmented_lidar2cam = lidar2cam @ torch.linalg.inv(lidar_aug)
    augmented_cam2img = img_aug @ cam2img
    lidar2img = augmented_cam2img @ augmented_lidar2cam
    return CameraRig(
        augmented_lidar2cam,
        augmented_cam2img,
        lidar2img,
        torch.linalg.inv(lidar2img),
        image_size,
        padded_size,
    )
