"""UVTR's detection head: queries that read the volume, matching and denoising, losses, and box decoding."""

from .nms import classwise_nms
from .uvtr_head import UVTRHead

__all__ = ["UVTRHead", "classwise_nms"]
