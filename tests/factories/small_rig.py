"""A small ring of cameras with an image size that is padded."""

import math

import torch
from torch import Tensor

from ponderv2.geometry import compose_rig
from ponderv2.structures import CameraRig

SIZE, PADDED = (60, 90), (64, 96)


def small_rig(
    cameras: int = 2,
    batch: int = 1,
    lidar_aug: Tensor | None = None,
    img_aug: Tensor | None = None,
    size: tuple[int, int] = SIZE,
    turn: float = 0.0,
    center: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> CameraRig:
    """Make a batch of the same cameras at `center`, float64; the first looks along +x, turned by `turn` radians."""
    lidar2cam = []
    for k in range(cameras):
        yaw = turn + 2 * math.pi * k / cameras
        forward = torch.tensor([math.cos(yaw), math.sin(yaw), 0.0], dtype=torch.float64)
        down = torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64)
        matrix = torch.eye(4, dtype=torch.float64)
        matrix[:3, :3] = torch.stack([torch.linalg.cross(down, forward), down, forward])
        matrix[:3, 3] = -matrix[:3, :3] @ torch.tensor(center, dtype=torch.float64)
        lidar2cam.append(matrix)
    intrinsic = torch.eye(4, dtype=torch.float64)
    intrinsic[0, 0] = intrinsic[1, 1] = 50.0
    intrinsic[0, 2], intrinsic[1, 2] = (SIZE[1] - 1) / 2, (SIZE[0] - 1) / 2
    eye = torch.eye(4, dtype=torch.float64)
    rig = compose_rig(
        torch.stack(lidar2cam),
        intrinsic.repeat(cameras, 1, 1),
        eye if lidar_aug is None else lidar_aug,
        (eye if img_aug is None else img_aug).repeat(cameras, 1, 1),
        torch.tensor([size] * cameras),
        PADDED,
    )
    return CameraRig.stack([rig] * batch, PADDED)
