"""Building blocks that encoders and heads share."""

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from ponderv2.shapes import Float


class SampleNorm3d(nn.InstanceNorm3d):
    """torch's `InstanceNorm3d`, which here keeps a volume whose channels come last in memory as it is.

    torch's own rearranges such a volume, and the convolution after it then costs half as much again on a CPU.
    """

    def forward(self, input: Float[Tensor, "b c z y x"]) -> Float[Tensor, "b c z y x"]:
        """Normalise each channel of each sample."""
        if self.track_running_stats or not input.is_contiguous(memory_format=torch.channels_last_3d):
            return super().forward(input)
        # Of a single sample, the statistics of a batch are its own.
        normed = [F.batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps) for x in input.split(1)]
        return normed[0] if len(normed) == 1 else torch.cat(normed)


def conv3d_block(in_channels: int, out_channels: int, norm_cfg: dict | None = None) -> ConvModule:
    """Build a 3×3×3 convolution, a norm and a ReLU.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        norm_cfg: the norm in mmcv's terms; None is batch norm.
    """
    norm_cfg = norm_cfg or dict(type="BN3d")
    if norm_cfg["type"] == "IN3d":
        norm_cfg = dict(norm_cfg, type=SampleNorm3d)
    return ConvModule(in_channels, out_channels, 3, padding=1, conv_cfg=dict(type="Conv3d"), norm_cfg=norm_cfg)
