"""mmdet3d's MinkUNet, on the voxels of this package."""

from collections.abc import Sequence

import spconv.pytorch as spconv
import torch
from mmdet3d.models.backbones import MinkUNetBackbone
from torch import Tensor

from ponderv2.registry import MODELS
from ponderv2.shapes import Float
from ponderv2.structures import VoxelGrid, Voxels

from .pooling import pool_to_volume
from .sparse_layers import SparseConv3d, SparseInverseConv3d, SubMConv3d, to_sparse, without_autocast
from .sparse_unet import halvable_shape

_PLAIN = {
    spconv.SubMConv3d: SubMConv3d,
    spconv.SparseConv3d: SparseConv3d,
    spconv.SparseInverseConv3d: SparseInverseConv3d,
}


@MODELS.register_module()
class VoxelMinkUNet(MinkUNetBackbone):
    """Runs mmdet3d's MinkUNet (Choy et al. 2019), the other usual backbone of LiDAR segmentation, with spconv.

    Its layers are mmdet3d's. The grid that they run on is that of the encoder, where mmdet3d's ends at the outermost
    voxel of the batch, so that what a sample gets depends on the others.

    Attributes:
        stride: always None, as a cell of the volume may be any whole number of voxels.
        channels: channels of the features of a voxel, and of the volume.

    Args:
        in_channels: number of input features of a voxel.
        base_channels: channels after the two convolutions at the start.
        encoder_channels: width of each stage down.
        encoder_blocks: residual blocks of each stage down; MinkUNet-34 has (2, 3, 4, 6), MinkUNet-18 (2, 2, 2, 2).
        decoder_channels: width of each stage up, as many as down.
        decoder_blocks: residual blocks of each stage up.

    Raises:
        ValueError: when the four lists are not of one length.
    """

    stride = None

    def __init__(
        self,
        in_channels: int = 4,
        base_channels: int = 32,
        encoder_channels: Sequence[int] = (32, 64, 128, 256),
        encoder_blocks: Sequence[int] = (2, 3, 4, 6),
        decoder_channels: Sequence[int] = (256, 128, 96, 96),
        decoder_blocks: Sequence[int] = (2, 2, 2, 2),
        init_cfg: dict | None = None,
    ) -> None:
        lists = (encoder_channels, encoder_blocks, decoder_channels, decoder_blocks)
        if len({len(values) for values in lists}) > 1 or not encoder_channels:
            raise ValueError(
                "encoder_channels, encoder_blocks, decoder_channels and decoder_blocks: expected one number a stage, "
                f"got {[len(values) for values in lists]} numbers"
            )
        # mmdet3d puts numbers in front of the lists that it is given.
        super().__init__(
            in_channels,
            base_channels,
            len(encoder_channels),
            *(list(values) for values in lists),
            sparseconv_backend="spconv",
            init_cfg=init_cfg,
        )
        self.channels = decoder_channels[-1]
        for module in self.modules():
            # mmdet3d would turn weights around that come from a file without spconv's version number.
            module.__class__ = _PLAIN.get(type(module), type(module))

    def forward(self, voxels: Voxels, grid: VoxelGrid) -> Float[Tensor, "b c z y x"]:
        """Compute the mean of the features of the voxels in each cell of `grid`; it is zero where there is none."""
        return pool_to_volume(voxels.with_features(self.features(voxels)), grid)

    def features(self, voxels: Voxels) -> Float[Tensor, "v c"]:
        """Compute the features of every voxel, in the order of `voxels`."""
        with without_autocast(voxels.features):
            x = self.conv_input(to_sparse(voxels, halvable_shape(voxels.grid, self.num_stages)))
            skips = []
            for stage in self.encoder:
                skips.append(x)
                x = stage(x)
            for up, blocks in self.decoder:
                x = up(x)
                x = blocks(x.replace_feature(torch.cat([x.features, skips.pop().features], dim=1)))
            return x.features
