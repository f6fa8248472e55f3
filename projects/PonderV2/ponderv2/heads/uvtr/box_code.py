"""Encoding a box as the ten numbers that a query regresses, and decoding it.

A box is (x, y, z, l, w, h, yaw, vx, vy) with its gravity centre, in metres, radians counter-clockwise and metres a
second, in the convention of mmdet3d 1.x; its code is (cx, cy, log l, log w, cz, log h, sin yaw, cos yaw, vx, vy),
which is the order of UVTR and DETR3D with length before width. Published weights were trained with the boxes of
mmdet3d before 1.0, which have width first and turn the other way.
"""

import math

import torch
from mmdet3d.structures import LiDARInstance3DBoxes
from torch import Tensor

from ponderv2.shapes import Float

CODE_SIZE = 10
CENTER = (0, 1, 4)
"""Indices of cx, cy and cz in a code."""
VELOCITY = slice(8, 10)
"""Indices of vx and vy in a code."""

# Decoded sizes stay between 7 mm and 148 m: every object of a street is in between, and exp never overflows.
_LOG_SIZE_LIMIT = 5.0


def encode_boxes(boxes: Float[Tensor, "*n 9"]) -> Float[Tensor, "*n 10"]:
    """Return the codes of boxes with gravity centres. A velocity that is NaN, which means unknown, stays NaN."""
    x, y, z, length, width, height, yaw, vx, vy = boxes.unbind(dim=-1)
    return torch.stack(
        [x, y, length.log(), width.log(), z, height.log(), yaw.sin(), yaw.cos(), vx, vy],
        dim=-1,
    )


def decode_boxes(codes: Float[Tensor, "*n 10"]) -> Float[Tensor, "*n 9"]:
    """Return boxes with gravity centres and yaws in [-π, π]; sine and cosine may have any common length."""
    cx, cy, log_l, log_w, cz, log_h, sine, cosine, vx, vy = codes.unbind(dim=-1)
    size = torch.stack([log_l, log_w, log_h], dim=-1).clamp(-_LOG_SIZE_LIMIT, _LOG_SIZE_LIMIT).exp()
    return torch.cat(
        [
            torch.stack([cx, cy, cz], dim=-1),
            size,
            torch.stack([torch.atan2(sine, cosine), vx, vy], dim=-1),
        ],
        dim=-1,
    )


def boxes_with_velocity(boxes: LiDARInstance3DBoxes) -> Float[Tensor, "n 9"]:
    """Return the boxes of mmdet3d (bottom centre) as rows with gravity centres and velocities.

    Boxes that come without a velocity have NaN there.
    """
    tensor = boxes.tensor
    velocity = tensor[:, 7:9] if tensor.shape[1] >= 9 else tensor.new_full((len(tensor), 2), math.nan)
    return torch.cat([boxes.gravity_center, tensor[:, 3:7], velocity], dim=1)


def lidar_boxes(boxes: Float[Tensor, "n 9"]) -> LiDARInstance3DBoxes:
    """Return rows with gravity centres as the boxes of mmdet3d."""
    return LiDARInstance3DBoxes(boxes, box_dim=9, origin=(0.5, 0.5, 0.5))
