"""Fields with known answers, and an empty volume to render them with."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ponderv2.rendering import FieldOutput
from ponderv2.structures import FeatureVolume, VoxelGrid

GRID = VoxelGrid((-16.0, -16.0, -16.0, 16.0, 16.0, 16.0), (4, 4, 4))


class AnalyticField(nn.Module):
    """A signed distance given as a function of points in metres; the colour is the point itself, scaled."""

    def __init__(self, sdf: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = sdf

    def sdf(self, volume: FeatureVolume, points: Tensor) -> Tensor:
        return self.function(points) * volume.grid.scene_scale

    def forward(self, volume: FeatureVolume, points: Tensor, directions: Tensor) -> FieldOutput:
        points = points.detach().requires_grad_()
        with torch.enable_grad():
            sdf = self.sdf(volume, points)
            # By position in scene units, as the renderer works in them.
            (gradient,) = torch.autograd.grad(sdf.sum(), points)
        rgb = (points * volume.grid.scene_scale + 1) / 2
        return FieldOutput(sdf.detach(), gradient / volume.grid.scene_scale, rgb.detach())


def empty_volume(batch: int = 1, channels: int = 1, dtype: torch.dtype = torch.float32) -> FeatureVolume:
    """Make a volume of zeros on `GRID`."""
    return FeatureVolume(torch.zeros(batch, channels, *GRID.shape, dtype=dtype), GRID)
