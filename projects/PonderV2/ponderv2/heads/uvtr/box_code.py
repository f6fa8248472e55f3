"""The ten numbers that a query regresses for a box, and the way back.

A box is (x, y, z, l, w, h, yaw, vx, vy) with its gravity centre, metres, radians counter-clockwise and metres a
second, in the convention of mmdet3d 1.x; its code is (cx, cy, log l, log w, cz, log h, sin yaw, cos yaw, vx, vy),
the order of UVTR and DETR3D with length before width. Published weights of older boxes have width first and the
other yaw.
"""

import math

import torch
from mmdet3d.structures import LiDARInstance3DBoxes
from torch import Tensor

from ponderv2.shapes import Float

CODE_SIZE = 10
CENTER = (0, 1, 4)
"""Places of cx, cy and cz in a code."""
VELOCITY = slice(8, 10)
"""Places of vx and vy in a code."""

# What is decoded stays between 7 mm and 148 m: no box of a street is beyond, and exp never overflows.
_LOG_SIZE_LIMIT = 5.0


def encode_boxes(boxes: Float[Tensor, "*n 9"]) -> Float[Tensor, "*n 10"]:
    """Code of boxes with gravity centres. An unknown velocity is NaN and stays so."""
    x, y, z, length, width, height, yaw, vx, vy = boxes.unbind(dim=-1)
    return torch.stack(
        [x, y, length.log(), width.log(), z, height.log(), yaw.sin(), yaw.cos(), vx, vy],
        dim=-1,
    )


def decode_boxes(codes: Float[Tensor, "*n 10"]) -> Float[Tensor, "*n 9"]:
    """Boxes with gravity centres, yaw in [-π, π]; sine and cosine need not be normalised."""
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


def gravity_boxes(boxes: LiDARInstance3DBoxes) -> Float[Tensor, "n 9"]:
    """Boxes of mmdet3d (bottom centre) as rows with gravity centres; of boxes without velocity it is unknown, NaN."""
    tensor = boxes.tensor
    velocity = tensor[:, 7:9] if tensor.shape[1] >= 9 else tensor.new_full((len(tensor), 2), math.nan)
    return torch.cat([boxes.gravity_center, tensor[:, 3:7], velocity], dim=1)


def lidar_boxes(boxes: Float[Tensor, "n 9"]) -> LiDARInstance3DBoxes:
    """Rows with gravity centres as boxes of mmdet3d."""
    return LiDARInstance3DBoxes(boxes, box_dim=9, origin=(0.5, 0.5, 0.5))
