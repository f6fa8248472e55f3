"""What reads a feature volume."""

from .nms import classwise_nms
from .render import RenderHead
from .uvtr import UVTRHead

__all__ = ["RenderHead", "UVTRHead", "classwise_nms"]
