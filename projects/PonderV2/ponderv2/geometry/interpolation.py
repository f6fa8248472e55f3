"""Interpolation: an image between its pixels, a volume between its cells."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ponderv2.shapes import Float, UInt8
from ponderv2.structures import FeatureVolume, constant


def sample_image(image: Float[Tensor, "c h w"], pixels: Float[Tensor, "r 2"]) -> Float[Tensor, "r c"]:
    """Interpolate an image bilinearly at pixels (u, v).

    Integer coordinates are pixel centres; beyond the outermost centres the border is repeated.
    """
    height, width = image.shape[-2:]
    size = constant((width, height), pixels.device, pixels.dtype)
    normalized = (2 * pixels + 1) / size - 1
    values = F.grid_sample(
        image[None], normalized[None, :, None].to(image.dtype), align_corners=False, padding_mode="border"
    )
    return values[0, :, :, 0].T


def sample_colors(image: UInt8[np.ndarray, "h w 3"], pixels: Float[Tensor, "r 2"]) -> Float[Tensor, "r 3"]:
    """Interpolate an 8-bit image bilinearly at pixels (u, v), to float32 colors in [0, 1].

    It is `sample_image` for few pixels of a large image: only these are read, in the precision of `pixels`, where
    making floats of all of it takes longer than decoding its file.
    """
    height, width = image.shape[:2]
    # In numpy: calls of few pixels take longer in torch than what they compute.
    u, v = (values.clip(0, side - 1) for values, side in zip(pixels.numpy().T, (width, height), strict=True))
    left, above = np.floor(u), np.floor(v)
    to_right, to_below = u - left, v - above
    left, above = left.astype(np.int64), above.astype(np.int64)
    right, below = np.minimum(left + 1, width - 1), np.minimum(above + 1, height - 1)
    corners = (
        (left, above, (1 - to_right) * (1 - to_below)),
        (right, above, to_right * (1 - to_below)),
        (left, below, (1 - to_right) * to_below),
        (right, below, to_right * to_below),
    )
    flat, total = image.reshape(-1, 3), np.zeros((len(u), 3), dtype=u.dtype)
    for column, row, weight in corners:
        total += flat.take(row * width + column, axis=0) * weight[:, None]
    return torch.from_numpy(total / 255).float()


def sample_volume(volume: FeatureVolume, points: Float[Tensor, "b q 3"]) -> Float[Tensor, "b q c"]:
    """Interpolate a volume trilinearly at points (x, y, z) in metres; differentiable in the volume and in the points.

    Values are taken to belong to the centers of cells, whatever the placement of the grid: the published detection head
    reads so, too. Beyond the outermost centers they fade to zero over one cell. This function is made for the few
    points of queries. For the many points of rays `rendering.trilinear` gives the same values in a centered grid at
    less cost, but no gradient for the points.
    """
    size = constant(volume.grid.size, points.device, points.dtype)
    place = (2 * volume.grid.to_center_index(points) + 1) / size - 1
    return F.grid_sample(volume.data, place[:, None, None], align_corners=False)[:, :, 0, 0].transpose(1, 2)
