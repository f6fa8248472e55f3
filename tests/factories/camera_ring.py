"""Cameras around the origin, and points around them."""

import math

import torch
from torch import Tensor

from ponderv2.geometry import compose_rig
from ponderv2.structures import CameraRig

HEIGHT, WIDTH = 90, 160


def calibration(count: int = 6, center: tuple[float, float, float] = (0.5, 0.0, 0.3)) -> tuple[Tensor, Tensor]:
    """Make lidar2cam and cam2img, float64, of `count` cameras at `center`; the first looks along y."""
    lidar2cam = torch.zeros(count, 4, 4, dtype=torch.float64)
    for k in range(count):
        c, s = math.cos(math.tau * k / count), math.sin(math.tau * k / count)
        rotation = torch.tensor([[c, s, 0], [0, 0, -1], [-s, c, 0]], dtype=torch.float64)
        lidar2cam[k, :3, :3] = rotation
        lidar2cam[k, :3, 3] = -rotation @ torch.tensor(center, dtype=torch.float64)
        lidar2cam[k, 3, 3] = 1
    cam2img = torch.eye(4, dtype=torch.float64).repeat(count, 1, 1)
    cam2img[:, 0, 0], cam2img[:, 1, 1] = 130.0, 128.0
    cam2img[:, 0, 2], cam2img[:, 1, 2] = (WIDTH - 1) / 2, (HEIGHT - 1) / 2
    return lidar2cam, cam2img


def ring(
    count: int = 6,
    lidar_aug: Tensor | None = None,
    img_aug: Tensor | None = None,
    size: tuple[int, int] = (HEIGHT, WIDTH),
    center: tuple[float, float, float] = (0.5, 0.0, 0.3),
) -> CameraRig:
    """Make a rig of such cameras, with one `img_aug` for all."""
    identity = torch.eye(4, dtype=torch.float64)
    return compose_rig(
        *calibration(count, center),
        identity if lidar_aug is None else lidar_aug,
        (identity if img_aug is None else img_aug).expand(count, 4, 4),
        torch.tensor([size] * count),
        size,
    )


def points_around(count: int, seed: int = 0) -> Tensor:
    """Draw points 3–40 m from the origin, all around, float64."""
    generator = torch.Generator().manual_seed(seed)
    draw = torch.rand(count, 3, generator=generator, dtype=torch.float64)
    azimuth, radius, height = draw[:, 0] * math.tau, 3 + 37 * draw[:, 1], 5 * draw[:, 2] - 2
    return torch.stack([radius * azimuth.cos(), radius * azimuth.sin(), height], dim=1)
