"""Augmentations as 4×4 matrices on column vectors, float64.

3-D ones act on points of the LiDAR frame. 2-D ones act on `(u * d, v * d, d, 1)`, so they multiply
`cam2img` from the left. Pixel centres have integer coordinates (OpenCV's convention, and that of the
nuScenes calibration): pixel `k` covers `[k - 0.5, k + 0.5)`.
"""

import math

import torch
from torch import Tensor

from ponderv2.shapes import Float


def rotation_z(angle: float) -> Float[Tensor, "4 4"]:
    """Make the matrix that turns by `angle` radians about the z axis, counter-clockwise seen from above."""
    c, s = math.cos(angle), math.sin(angle)
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:2, :2] = torch.tensor([[c, -s], [s, c]], dtype=torch.float64)
    return matrix


def scaling_matrix(factor: float) -> Float[Tensor, "4 4"]:
    """Make the matrix that multiplies all coordinates by `factor`."""
    return torch.diag(torch.tensor([factor, factor, factor, 1.0], dtype=torch.float64))


def translation_matrix(offset: tuple[float, float, float]) -> Float[Tensor, "4 4"]:
    """Make the matrix that adds `offset`, metres."""
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, 3] = torch.tensor(offset, dtype=torch.float64)
    return matrix


def flip_matrix(x: bool = False, y: bool = False) -> Float[Tensor, "4 4"]:
    """Make the matrix that negates the x coordinate, the y coordinate, or both."""
    return torch.diag(torch.tensor([-1.0 if x else 1.0, -1.0 if y else 1.0, 1.0, 1.0], dtype=torch.float64))


def image_affine(linear: Float[Tensor, "2 2"], shift: Float[Tensor, "2"]) -> Float[Tensor, "4 4"]:
    """Write `uv' = linear @ uv + shift` as a matrix on `(u * d, v * d, d, 1)`."""
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:2, :2] = linear
    matrix[:2, 2] = shift
    return matrix


def image_resize(scale_u: float, scale_v: float) -> Float[Tensor, "4 4"]:
    """Make the matrix of a resizing by factors along u and v.

    The outer edge of the image stays the outer edge (as in `cv2.resize`), hence the half pixels.
    """
    scale = torch.tensor([scale_u, scale_v], dtype=torch.float64)
    return image_affine(torch.diag(scale), 0.5 * scale - 0.5)


def image_crop(left: int, top: int) -> Float[Tensor, "4 4"]:
    """Make the matrix of a crop that cuts off `left` columns and `top` rows; negative numbers add them."""
    shift = torch.tensor([-left, -top], dtype=torch.float64)
    return image_affine(torch.eye(2, dtype=torch.float64), shift)


def image_flip(width: int) -> Float[Tensor, "4 4"]:
    """Make the matrix that mirrors left and right of an image of `width` pixels."""
    linear = torch.diag(torch.tensor([-1.0, 1.0], dtype=torch.float64))
    return image_affine(linear, torch.tensor([width - 1.0, 0.0], dtype=torch.float64))


def image_rotate(angle: float, width: int, height: int) -> Float[Tensor, "4 4"]:
    """Make the matrix that turns an image by `angle` radians about its centre, counter-clockwise as one looks at it."""
    c, s = math.cos(angle), math.sin(angle)
    linear = torch.tensor([[c, s], [-s, c]], dtype=torch.float64)  # v points down
    center = torch.tensor([(width - 1) / 2, (height - 1) / 2], dtype=torch.float64)
    return image_affine(linear, center - linear @ center)
