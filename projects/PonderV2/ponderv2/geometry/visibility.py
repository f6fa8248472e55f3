"""Which LiDAR returns a camera sees."""

import numpy as np
import torch
from torch import Tensor

from ponderv2.shapes import Float
from ponderv2.structures import CameraRig

from .projection import MIN_DEPTH, project


def visible_returns(
    points: Float[Tensor, "p 3"], rig: CameraRig
) -> tuple[list[Float[Tensor, "q 2"]], list[Float[Tensor, "q"]]]:
    """For each camera the pixels (u, v) of the returns it sees, and their distances from its centre, metres.

    Of returns in one pixel the one with the smallest distance is kept, the first of equals. Keys are 64-bit
    integers: the published float keys cannot tell depths apart beyond the first rows of the image.
    """
    pixels, depth = project(points.expand(rig.num_cameras, -1, -1), rig.lidar2img)
    distance = (points - rig.origins[:, None]).norm(dim=-1)
    cell = torch.floor(pixels + 0.5)
    height, width = rig.image_size[:, None, 0], rig.image_size[:, None, 1]
    inside = (depth > MIN_DEPTH) & (cell >= 0).all(dim=-1) & (cell[..., 0] < width) & (cell[..., 1] < height)
    found_pixels, found_distances = [], []
    for camera in range(rig.num_cameras):
        uv, far, where = (x[camera][inside[camera]] for x in (pixels, distance, cell))
        key = (where[:, 1].long() * rig.image_size[camera, 1] + where[:, 0].long()).numpy()
        order = np.lexsort((far.numpy(), key))
        _, first = np.unique(key[order], return_index=True)
        nearest = torch.from_numpy(order[first])
        found_pixels.append(uv[nearest])
        found_distances.append(far[nearest])
    return found_pixels, found_distances
