"""UVTR's detection head: queries and their decoder, matching and denoising, losses, and the decoding of boxes."""

from .nms import classwise_nms
from .uvtr_head import UVTRHead

__all__ = ["UVTRHead", "classwise_nms"]
