"""The sparse encoder of VoxelNet in the form that keeps height as an axis of the volume."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from ponderv2.registry import MODELS
from ponderv2.shapes import Float
from ponderv2.structures import VoxelGrid, Voxels

from .sparse_layers import (
    SparseConvBlock,
    SparseResidualBlock,
    downsample,
    row_norm,
    submanifold,
    to_dense,
    to_sparse,
    without_autocast,
)


@MODELS.register_module()
class HeightKeepingSparseEncoder(BaseModule):
    """Turns voxels into a volume by residual stages, each but the last ending in a convolution of stride 2.

    UVTR's and UniPAD's LiDAR encoder ("SparseEncoderHD"): 41×1440×1440 cells become 5×180×180. mmdet3d's
    `SparseEncoder` is its like, but flattens height into channels. All submanifold convolutions of a resolution
    share one table of neighbours, which the published code builds again for each of 16 layers.

    A voxel always contributes to the cell of the volume that it lies in; strided convolutions also spread it to
    the next cell of each axis, as published.

    Attributes:
        stride: number of voxels in a cell of the volume, along every axis.
        channels: channels of the volume.

    Args:
        in_channels: number of features of a voxel.
        stage_channels: width of every stage, published (16, 32, 64, 128).
        blocks: number of residual blocks in a stage, published 2.
        channels: channels of the volume, published 256.
        norm_cfg: norm of the rows, see `row_norm`.

    Raises:
        ValueError: when there are fewer than two stages.
    """

    def __init__(
        self,
        in_channels: int = 5,
        stage_channels: Sequence[int] = (16, 32, 64, 128),
        blocks: int = 2,
        channels: int = 256,
        norm_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if len(stage_channels) < 2:
            raise ValueError(f"stage_channels: expected at least two stages, got {tuple(stage_channels)}")
        self.stride = 2 ** (len(stage_channels) - 1)
        self.channels = channels
        self.stem = SparseConvBlock(submanifold(in_channels, stage_channels[0], "resolution0"), norm_cfg)
        self.stages, self.down = nn.ModuleList(), nn.ModuleList()
        for level, width in enumerate(stage_channels):
            key = f"resolution{level}"
            self.stages.append(
                nn.Sequential(*(SparseResidualBlock(width, width, key, norm_cfg) for _ in range(blocks)))
            )
            if level + 1 < len(stage_channels):
                last = level + 2 == len(stage_channels)
                # Without padding in z at the end, so that an odd number of cells (41, 21, 11) becomes 5.
                padding = (0, 1, 1) if last else 1
                self.down.append(downsample(width, stage_channels[level + 1], f"down{level}", 3, padding, norm_cfg))
        # A sparse convolution with a kernel of one cell is a product of rows.
        self.project = nn.Linear(stage_channels[-1], channels, bias=False)
        self.project_norm = row_norm(channels, norm_cfg)

    def forward(self, voxels: Voxels, grid: VoxelGrid) -> Float[Tensor, "b c z y x"]:
        """Compute the volume on `grid`, whose cells are `stride` voxels wide; it is zero where no voxel is near."""
        nz, ny, nx = voxels.grid.shape
        with without_autocast(voxels.features):
            x = self.stem(to_sparse(voxels, (nz + 1, ny, nx)))
            for level, stage in enumerate(self.stages):
                x = stage(x)
                if level < len(self.down):
                    x = self.down[level](x)
            x = x.replace_feature(F.relu(self.project_norm(self.project(x.features))))
            return to_dense(x)
