"""Metrics: the quality of rendering, and nuScenes' official detection score."""

from .functional import DepthErrors, depth_errors, psnr, ssim
from .nuscenes_metric import PonderNuScenesMetric
from .nuscenes_score import DetectionScore, score_submission
from .render_metric import RenderMetric

__all__ = [
    "DepthErrors",
    "DetectionScore",
    "PonderNuScenesMetric",
    "RenderMetric",
    "depth_errors",
    "psnr",
    "score_submission",
    "ssim",
]
