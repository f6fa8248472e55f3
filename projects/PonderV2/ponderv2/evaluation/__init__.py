"""Metrics: how well a volume renders."""

from .functional import DepthErrors, depth_errors, psnr, ssim
from .render_metric import RenderMetric

__all__ = ["DepthErrors", "RenderMetric", "depth_errors", "psnr", "ssim"]
