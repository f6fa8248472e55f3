"""Depth distributions for lifting."""

import torch
from mmcv.cnn import ConvModule
from mmdet.models.backbones.resnet import BasicBlock
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ponderv2.registry import MODELS
from ponderv2.shapes import Float


@MODELS.register_module()
class SimpleDepth(nn.Module):
    """One 1×1 convolution to depth bins, softmax; shared by all levels, never supervised (UVTR, UniPAD).

    Args:
        in_channels: of the feature map.
        num_bins: published 64 for 0–64 m.
    """

    def __init__(self, in_channels: int, num_bins: int = 64) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, num_bins, 1)

    def forward(self, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h w"]:
        """Probabilities of the bins, summing to 1 over them."""
        return self.conv(features).softmax(dim=1)


@MODELS.register_module()
class DepthNet(BaseModule):
    """A depth head with a wide view, of UniPAD's final camera and fusion models ("ComplexDepth", after BEVDepth).

    3×3 convolution, residual blocks, atrous spatial pyramid pooling, 1×1 convolution to the bins, softmax. Unlike
    BEVDepth's it does not see the intrinsics.

    Args:
        in_channels: of the feature map.
        num_bins: published 118 for 1–60 m.
        channels: inside; published 256.
        pyramid_channels: of each of the five branches; published 96.
        dilations: of its 3×3 convolutions; published (6, 12, 18).
        num_blocks: published 3.
        dropout: after the pyramid; published 0.5.
        norm_cfg: of all norms, in mmcv's terms; published BN.
    """

    def __init__(
        self,
        in_channels: int,
        num_bins: int = 118,
        channels: int = 256,
        pyramid_channels: int = 96,
        dilations: tuple[int, ...] = (6, 12, 18),
        num_blocks: int = 3,
        dropout: float = 0.5,
        norm_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        norm_cfg = norm_cfg or dict(type="BN")
        self.reduce = ConvModule(in_channels, channels, 3, padding=1, norm_cfg=norm_cfg)
        self.blocks = nn.Sequential(*(BasicBlock(channels, channels, norm_cfg=norm_cfg) for _ in range(num_blocks)))
        self.pyramid = AtrousPyramid(channels, pyramid_channels, channels, dilations, norm_cfg)
        self.dropout = nn.Dropout(dropout)
        self.bins = nn.Conv2d(channels, num_bins, 1)

    def forward(self, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h w"]:
        """Probabilities of the bins, summing to 1 over them."""
        features = self.dropout(self.pyramid(self.blocks(self.reduce(features))))
        return self.bins(features).softmax(dim=1)


class AtrousPyramid(BaseModule):
    """Atrous spatial pyramid pooling (DeepLab v3 §3.3): several fields of view side by side, and the whole image.

    The mean of the image is one value a channel and image, so that in training its batch norm has as many values
    as there are images: the six cameras of a sample suffice. Of a single image there is no variance; the running
    statistics are used then.

    Args:
        in_channels, branch_channels, out_channels: before, in each branch, and after.
        dilations: of the 3×3 branches, beside a 1×1 one and the image's mean.
        norm_cfg: in mmcv's terms.
    """

    def __init__(
        self, in_channels: int, branch_channels: int, out_channels: int, dilations: tuple[int, ...], norm_cfg: dict
    ) -> None:
        super().__init__()
        self.branches = ModuleList([ConvModule(in_channels, branch_channels, 1, norm_cfg=norm_cfg)])
        for dilation in dilations:
            self.branches.append(
                ConvModule(in_channels, branch_channels, 3, padding=dilation, dilation=dilation, norm_cfg=norm_cfg)
            )
        self.image_mean = ConvModule(in_channels, branch_channels, 1, norm_cfg=norm_cfg)
        self.merge = ConvModule((len(dilations) + 2) * branch_channels, out_channels, 1, norm_cfg=norm_cfg)

    def forward(self, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h w"]:
        """A map of the same size."""
        mean = self._image_mean(features.mean(dim=(2, 3), keepdim=True))
        seen = [branch(features) for branch in self.branches]
        return self.merge(torch.cat([*seen, mean.expand(-1, -1, *features.shape[2:])], dim=1))

    def _image_mean(self, mean: Float[Tensor, "n c 1 1"]) -> Float[Tensor, "n c2 1 1"]:
        norm = self.image_mean.norm
        if not (isinstance(norm, _BatchNorm) and norm.training and len(mean) == 1):
            return self.image_mean(mean)
        norm.eval()
        try:
            return self.image_mean(mean)
        finally:
            norm.train()
