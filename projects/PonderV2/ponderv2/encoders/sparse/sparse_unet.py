"""A sparse U-Net: it computes features for every voxel, and their mean in the cells of a volume."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ponderv2.registry import MODELS
from ponderv2.shapes import Float
from ponderv2.structures import VoxelGrid, Voxels

from .pooling import pool_to_volume
from .sparse_layers import (
    SparseConvBlock,
    SparseResidualBlock,
    downsample,
    submanifold,
    to_sparse,
    upsample,
    without_autocast,
)


@MODELS.register_module()
class VoxelUNet(BaseModule):
    """Runs a residual sparse U-Net of four strided stages and back (PonderV2 outdoor; Pointcept's "SpUNet-v1m1").

    Attributes:
        stride: always None, as a cell of the volume may be any whole number of voxels.
        channels: channels of the features of a voxel, and of the volume.

    Args:
        in_channels: number of input features of a voxel, published 4.
        base_channels: channels after the stem, a submanifold convolution of 5 cells; published 32.
        channels: width of each stage down and then up, published (32, 64, 128, 256, 256, 128, 96, 96).
        blocks: number of residual blocks of each stage, published (2, 3, 4, 6, 2, 2, 2, 2).
        norm_cfg: norm of the rows, see `row_norm`.

    Raises:
        ValueError: when `channels` and `blocks` are not of one even length.
    """

    stride = None

    def __init__(
        self,
        in_channels: int = 4,
        base_channels: int = 32,
        channels: Sequence[int] = (32, 64, 128, 256, 256, 128, 96, 96),
        blocks: Sequence[int] = (2, 3, 4, 6, 2, 2, 2, 2),
        norm_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if len(channels) != len(blocks) or len(channels) % 2 or not channels:
            raise ValueError(
                "channels and blocks: expected one number a stage, as many stages down as up, "
                f"got {tuple(channels)} and {tuple(blocks)}"
            )
        self.channels = channels[-1]
        depth = len(channels) // 2
        widths = [base_channels, *channels[:depth]]
        self.stem = SparseConvBlock(submanifold(in_channels, base_channels, "stem", kernel=5), norm_cfg)
        self.down, self.encode = nn.ModuleList(), nn.ModuleList()
        for k in range(depth):
            self.down.append(downsample(widths[k], widths[k + 1], f"down{k}", 2, 0, norm_cfg))
            self.encode.append(_stage(widths[k + 1], widths[k + 1], blocks[k], f"resolution{k + 1}", norm_cfg))
        self.up, self.decode = nn.ModuleList(), nn.ModuleList()
        below = widths[-1]
        for k in range(depth):
            level = depth - 1 - k
            width = channels[depth + k]
            self.up.append(upsample(below, width, f"down{level}", 2, norm_cfg))
            self.decode.append(_stage(width + widths[level], width, blocks[depth + k], f"resolution{level}", norm_cfg))
            below = width

    def forward(self, voxels: Voxels, grid: VoxelGrid) -> Float[Tensor, "b c z y x"]:
        """Compute the mean of the features of the voxels in each cell of `grid`; it is zero where there is none."""
        return pool_to_volume(voxels.with_features(self.features(voxels)), grid)

    def features(self, voxels: Voxels) -> Float[Tensor, "v c"]:
        """Compute the features of every voxel, in the order of `voxels`."""
        with without_autocast(voxels.features):
            x = self.stem(to_sparse(voxels, halvable_shape(voxels.grid, len(self.down))))
            skips = []
            for down, encode in zip(self.down, self.encode, strict=True):
                skips.append(x)
                x = encode(down(x))
            for up, decode in zip(self.up, self.decode, strict=True):
                x = up(x)
                x = decode(x.replace_feature(torch.cat([x.features, skips.pop().features], dim=1)))
            return x.features


def halvable_shape(grid: VoxelGrid, depth: int) -> tuple[int, int, int]:
    """Return the shape (z, y, x) of a grid, filled up so that it can be halved `depth` times.

    Strided convolutions of two cells would lose the last one of an odd number.
    """
    unit = 2**depth
    return tuple(-(-n // unit) * unit for n in grid.shape)


def _stage(in_channels: int, channels: int, count: int, key: str, norm_cfg: dict | None) -> nn.Sequential:
    widths = [in_channels] + [channels] * (count - 1)
    return nn.Sequential(*(SparseResidualBlock(width, channels, key, norm_cfg) for width in widths))
