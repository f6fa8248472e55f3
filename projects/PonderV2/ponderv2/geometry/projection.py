"""Points to pixels and back."""

import torch
from torch import Tensor

from ponderv2.shapes import Float, Int
from ponderv2.structures import CameraRig

MIN_DEPTH = 1e-5
"""Points closer than this to the image plane (metres) have no pixel; the published threshold."""


def transform_points(matrix: Float[Tensor, "*b 4 4"], points: Float[Tensor, "*b p 3"]) -> Float[Tensor, "*b p 3"]:
    """Apply an affine 4×4 matrix to points."""
    return points @ matrix[..., :3, :3].transpose(-1, -2) + matrix[..., None, :3, 3]


def project(
    points: Float[Tensor, "*b p 3"], lidar2img: Float[Tensor, "*b 4 4"]
) -> tuple[Float[Tensor, "*b p 2"], Float[Tensor, "*b p"]]:
    """Pixels (u, v) and depths along the optical axis of points.

    Where the depth is not above `MIN_DEPTH` the pixel is meaningless; it is finite all the same.
    """
    uvd = transform_points(lidar2img, points)
    depth = uvd[..., 2]
    return uvd[..., :2] / depth.clamp(min=MIN_DEPTH)[..., None], depth


def rays_through_pixels(
    pixels: Float[Tensor, "*b r 2"], img2lidar: Float[Tensor, "*b 4 4"]
) -> tuple[Float[Tensor, "*b r 3"], Float[Tensor, "*b r 3"]]:
    """Origins and unit directions of the rays that pixels (u, v) see."""
    origins = img2lidar[..., None, :3, 3].expand(*pixels.shape[:-1], 3)
    uv1 = torch.cat([pixels, torch.ones_like(pixels[..., :1])], dim=-1)
    directions = uv1 @ img2lidar[..., :3, :3].transpose(-1, -2)
    return origins, torch.nn.functional.normalize(directions, dim=-1)


def compose_rig(
    lidar2cam: Float[Tensor, "n 4 4"],
    cam2img: Float[Tensor, "n 4 4"],
    lidar_aug: Float[Tensor, "4 4"],
    img_aug: Float[Tensor, "n 4 4"],
    image_size: Int[Tensor, "n 2"],
    padded_size: tuple[int, int],
) -> CameraRig:
    """Calibration and augmentation, composed once in float64.

    Args:
        lidar2cam: key-frame LiDAR → camera at its own time stamp, as calibrated.
        cam2img: intrinsics padded to 4×4, as calibrated.
        lidar_aug: original → augmented LiDAR frame.
        img_aug: original → augmented pixels, see `augmentation`.
        image_size: (height, width) of the augmented images without padding.
        padded_size: (height, width) with padding.

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
