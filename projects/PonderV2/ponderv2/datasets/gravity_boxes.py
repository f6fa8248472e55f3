"""The boxes of mmdet3d as rows of numbers."""

import numpy as np
import torch
from mmdet3d.structures import LiDARInstance3DBoxes

from ponderv2.shapes import Float


def gravity_boxes(boxes: LiDARInstance3DBoxes) -> Float[np.ndarray, "n 7"]:
    """Return boxes as (x, y, z, l, w, h, yaw) with gravity centres, float64, see `geometry.boxes`."""
    return torch.cat([boxes.gravity_center, boxes.tensor[:, 3:7]], dim=1).double().cpu().numpy()
