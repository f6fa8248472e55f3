"""Heads: what reads a feature volume."""

from .render_head import RenderHead
from .uvtr import UVTRHead, classwise_nms

__all__ = ["RenderHead", "UVTRHead", "classwise_nms"]
