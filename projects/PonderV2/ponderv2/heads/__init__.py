"""Heads: what reads a feature volume."""

from .center import BEVCenterHead
from .render_head import RenderHead
from .uvtr import UVTRHead, classwise_nms

__all__ = ["BEVCenterHead", "RenderHead", "UVTRHead", "classwise_nms"]
