"""Heads: what reads the features of an encoder."""

from .center import BEVCenterHead
from .render_head import RenderHead
from .segmentation import PointSegmentationHead
from .uvtr import UVTRHead, classwise_nms

__all__ = ["BEVCenterHead", "PointSegmentationHead", "RenderHead", "UVTRHead", "classwise_nms"]
