"""A small render head, and a volume with rays to render."""

import torch
import torch.nn.functional as F

from ponderv2.heads import RenderHead
from ponderv2.rendering import HierarchicalSampler
from ponderv2.structures import FeatureVolume, RayBatch, VoxelGrid

GRID = VoxelGrid((-8.0, -8.0, -2.0, 8.0, 8.0, 2.0), (8, 8, 2))


def small_render_head(seed: int = 0, **kwargs) -> RenderHead:
    """Make a head of 4 channels whose weights depend on the seed alone."""
    torch.manual_seed(seed)
    sampler = dict(type=HierarchicalSampler, num_proposals=8, num_important=4)
    return RenderHead(4, render_channels=8, hidden_channels=6, sampler=sampler, **kwargs)


def small_scene() -> tuple[FeatureVolume, RayBatch]:
    """Make a random volume of two samples, and five rays of each of two cameras, with colours and returns at 4 m."""
    torch.manual_seed(1)
    volume = FeatureVolume(torch.randn(2, 4, *GRID.shape), GRID)
    directions = F.normalize(torch.randn(2, 2, 5, 3), dim=-1)
    every, depth = torch.ones(2, 2, 5, dtype=torch.bool), torch.full((2, 2, 5), 4.0)
    rays = RayBatch(torch.zeros(2, 2, 5, 3), directions, every, depth, torch.zeros(2, 2, 5, 2), torch.rand(2, 2, 5, 3))
    return volume, rays
