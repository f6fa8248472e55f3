"""Interpolation: an image between its pixels, a volume between its cells."""

import torch.nn.functional as F
from torch import Tensor

from ponderv2.shapes import Float
from ponderv2.structures import FeatureVolume


def sample_image(image: Float[Tensor, "c h w"], pixels: Float[Tensor, "r 2"]) -> Float[Tensor, "r c"]:
    """Interpolate an image bilinearly at pixels (u, v).

    Integer coordinates are pixel centres; beyond the outermost centres the border is repeated.
    """
    height, width = image.shape[-2:]
    size = pixels.new_tensor([width, height])
    normalized = (2 * pixels + 1) / size - 1
    values = F.grid_sample(
        image[None], normalized[None, :, None].to(image.dtype), align_corners=False, padding_mode="border"
    )
    return values[0, :, :, 0].T


def sample_volume(volume: FeatureVolume, points: Float[Tensor, "b q 3"]) -> Float[Tensor, "b q c"]:
    """Interpolate a volume trilinearly at points (x, y, z) in metres; differentiable in the volume and in the points.

    Values are taken to belong to the centers of cells, whatever the placement of the grid: the published detection head
    reads so, too. Beyond the outermost centers they fade to zero over one cell. This function is made for the few
    points of queries. For the many points of rays `rendering.trilinear` gives the same values in a centered grid at
    less cost, but no gradient for the points.
    """
    size = points.new_tensor(volume.grid.size)
    place = (2 * volume.grid.to_center_index(points) + 1) / size - 1
    return F.grid_sample(volume.data, place[:, None, None], align_corners=False)[:, :, 0, 0].transpose(1, 2)
