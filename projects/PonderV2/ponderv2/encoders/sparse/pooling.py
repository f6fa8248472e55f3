"""The mean of the voxels in each cell of a volume; it needs no sparse convolution."""

import torch
from torch import Tensor

from ponderv2.shapes import Float
from ponderv2.structures import VoxelGrid, Voxels, constant


def pool_to_volume(voxels: Voxels, grid: VoxelGrid) -> Float[Tensor, "b c z y x"]:
    """Average the features of the voxels in each cell of a coarser grid over the same range; empty cells are zero.

    Raises:
        ValueError: when a cell is no whole number of voxels.
    """
    fine, coarse = voxels.grid.shape, grid.shape
    if any(f % c for f, c in zip(fine, coarse, strict=True)):
        raise ValueError(f"a volume of (z, y, x) = {coarse} cells does not divide {fine} voxels")
    place = voxels.coordinates.long()
    step = constant([f // c for f, c in zip(fine, coarse, strict=True)], place.device, place.dtype)
    z, y, x = torch.div(place[:, 1:], step, rounding_mode="floor").unbind(dim=1)
    cell = ((place[:, 0] * coarse[0] + z) * coarse[1] + y) * coarse[2] + x
    total = voxels.batch_size * coarse[0] * coarse[1] * coarse[2]
    count = torch.bincount(cell, minlength=total).clamp(min=1)
    rows = voxels.features.new_zeros(total, voxels.features.shape[1]).index_add(0, cell, voxels.features)
    rows = rows / count[:, None].to(rows.dtype)
    return rows.unflatten(0, (voxels.batch_size, *coarse)).permute(0, 4, 1, 2, 3)
