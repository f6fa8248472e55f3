"""Segmentation: a class for every point, from the features of its voxel or of the volume around it."""

from .point_head import PointSegmentationHead
from .segmentation_losses import SegmentationLoss

__all__ = ["PointSegmentationHead", "SegmentationLoss"]
