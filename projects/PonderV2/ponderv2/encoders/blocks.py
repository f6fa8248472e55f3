"""Building blocks that encoders and heads share."""

from mmcv.cnn import ConvModule


def conv3d_block(in_channels: int, out_channels: int, norm_cfg: dict | None = None) -> ConvModule:
    """Build a 3×3×3 convolution, a norm and a ReLU.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        norm_cfg: the norm in mmcv's terms; None is batch norm.
    """
    norm_cfg = norm_cfg or dict(type="BN3d")
    return ConvModule(in_channels, out_channels, 3, padding=1, conv_cfg=dict(type="Conv3d"), norm_cfg=norm_cfg)
