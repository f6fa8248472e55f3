"""The box convention: (x, y, z, l, w, h, yaw), gravity centre, yaw counter-clockwise from the x axis.

Length runs along the box's own x axis, the way it drives when yaw is its heading: the convention of
mmdet3d 1.x. Older infos swap l and w and turn yaw clockwise; training on them goes well and costs 6 NDS
(mASE ≈ 0.71, mAOE ≈ 1.5), which is why the convention has this file and tests.
"""

import torch
from torch import Tensor

from ponderv2.shapes import Float


def box_corners(boxes: Float[Tensor, "n 7"]) -> Float[Tensor, "n 8 3"]:
    """Compute the corners, metres, of boxes that are given by their gravity centre.

    The x axis of the box runs fastest: bit 0 of a corner's number stands for +x, bit 1 for +y, bit 2 for +z.
    """
    signs = torch.tensor([[(k >> a & 1) - 0.5 for a in range(3)] for k in range(8)]).to(boxes)
    local = signs * boxes[:, None, 3:6]
    c, s = torch.cos(boxes[:, 6]), torch.sin(boxes[:, 6])
    x = local[..., 0] * c[:, None] - local[..., 1] * s[:, None]
    y = local[..., 0] * s[:, None] + local[..., 1] * c[:, None]
    return torch.stack([x, y, local[..., 2]], dim=-1) + boxes[:, None, :3]
