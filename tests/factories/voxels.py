"""A few occupied voxels of two samples."""

import torch

from ponderv2.encoders import Voxels
from ponderv2.structures import VoxelGrid


def random_voxels(
    grid: VoxelGrid, share: float = 0.08, channels: int = 3, batch_size: int = 2, seed: int = 0
) -> Voxels:
    """About `share` of the cells, with random features in double precision that want a gradient."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.nonzero(torch.rand(batch_size, *grid.shape, generator=generator) < share).int().contiguous()
    features = torch.randn(len(places), channels, generator=generator, dtype=torch.float64)
    return Voxels(features.requires_grad_(), places, batch_size, grid)
