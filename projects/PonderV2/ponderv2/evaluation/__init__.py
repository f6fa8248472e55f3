"""Metrics: the quality of rendering, and nuScenes' official scores of detection and segmentation."""

from .functional import DepthErrors, depth_errors, psnr, ssim
from .lidarseg_metric import LidarSegMetric
from .nuscenes_metric import PonderNuScenesMetric
from .nuscenes_score import DetectionScore, score_submission
from .render_metric import RenderMetric
from .segmentation_score import SegmentationScore, confusion_matrix

__all__ = [
    "DepthErrors",
    "DetectionScore",
    "LidarSegMetric",
    "PonderNuScenesMetric",
    "RenderMetric",
    "SegmentationScore",
    "confusion_matrix",
    "depth_errors",
    "psnr",
    "score_submission",
    "ssim",
]
