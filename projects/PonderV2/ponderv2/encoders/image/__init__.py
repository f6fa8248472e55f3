"""Image backbones with block masks, and the depth networks that read their features."""

from .depth_net import DepthNet, SimpleDepth
from .depth_supervision import DepthSupervision
from .image_backbones import PonderConvNeXt, PonderResNet

__all__ = ["DepthNet", "DepthSupervision", "PonderConvNeXt", "PonderResNet", "SimpleDepth"]
