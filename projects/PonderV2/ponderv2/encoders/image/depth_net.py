"""Depth networks: they predict the distributions of depth that a lift uses, as logits of depth bins."""

import torch
from mmcv.cnn import ConvModule
from mmdet.models.backbones.resnet import BasicBlock
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ponderv2.registry import MODELS
from ponderv2.shapes import Float
from ponderv2.structures import CameraRig

from .camera_gate import CameraGate


@MODELS.register_module()
class SimpleDepth(nn.Module):
    """Applies one 1×1 convolution to depth bins; shared by all levels, never supervised (UVTR, UniPAD).

    Args:
        in_channels: channels of the feature map.
        num_bins: number of depth bins, published 64 for 0–64 m.
    """

    def __init__(self, in_channels: int, num_bins: int = 64) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, num_bins, 1)

    def forward(self, features: Float[Tensor, "n c h w"], rig: CameraRig | None = None) -> Float[Tensor, "n d h w"]:
        """Compute the logits of the depth bins; the rig is not used."""
        return self.conv(features)


@MODELS.register_module()
class DepthNet(BaseModule):
    """Predicts depth with a wide receptive field, as in UniPAD's final models ("ComplexDepth", after BEVDepth).

    It applies a 3×3 convolution, residual blocks, atrous spatial pyramid pooling and a 1×1 convolution to the bins.
    Unlike BEVDepth's network it does not get the intrinsics, unless it is `camera_aware`.

    Args:
        in_channels: channels of the feature map.
        num_bins: number of depth bins, published 118 for 1–60 m.
        channels: channels inside, published 256.
        pyramid_channels: channels of each of the five branches of the pyramid, published 96.
        dilations: dilations of the 3×3 convolutions of the pyramid, published (6, 12, 18).
        num_blocks: number of residual blocks, published 3.
        dropout: rate of the dropout after the pyramid, published 0.5.
        norm_cfg: config of all norms, in mmcv's terms; published BN.
        camera_aware: whether calibration and augmentation of the camera weight the channels before the blocks, see
            `CameraGate`; published by BEVDepth, and not by UniPAD.
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
        camera_aware: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        norm_cfg = norm_cfg or dict(type="BN")
        self.camera_gate = CameraGate(channels) if camera_aware else None
        self.reduce = ConvModule(in_channels, channels, 3, padding=1, norm_cfg=norm_cfg)
        self.blocks = nn.Sequential(*(BasicBlock(channels, channels, norm_cfg=norm_cfg) for _ in range(num_blocks)))
        self.pyramid = AtrousPyramid(channels, pyramid_channels, channels, dilations, norm_cfg)
        self.dropout = nn.Dropout(dropout)
        self.bins = nn.Conv2d(channels, num_bins, 1)

    def forward(self, features: Float[Tensor, "n c h w"], rig: CameraRig | None = None) -> Float[Tensor, "n d h w"]:
        """Compute the logits of the depth bins.

        Args:
            features: maps of all cameras, sample by sample.
            rig: cameras of the batch; a network that is not camera-aware does not use it.

        Raises:
            ValueError: when the network is camera-aware, and there is no rig of as many cameras as maps.
        """
        features = self.reduce(features)
        if self.camera_gate is not None:
            features = self.camera_gate(features, rig)
        features = self.dropout(self.pyramid(self.blocks(features)))
        return self.bins(features)


class AtrousPyramid(BaseModule):
    """Pools several receptive fields side by side, and the whole image (atrous spatial pyramid, DeepLab v3 §3.3).

    The mean of the image is one value per channel and image, so that in training its batch norm has as many values
    as there are images: the six cameras of a sample suffice. Of a single image there is no variance; the running
    statistics are used then.

    Args:
        in_channels: channels of the input.
        branch_channels: channels of each branch.
        out_channels: channels of the output.
        dilations: dilations of the 3×3 branches, which stand beside a 1×1 branch and the mean of the image.
        norm_cfg: config of all norms, in mmcv's terms.
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
        """Compute a map of the same size."""
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
