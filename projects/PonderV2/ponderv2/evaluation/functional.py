"""Errors of colours and depths, as functions of tensors."""

from dataclasses import dataclass

import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from ponderv2.errors import UserError
from ponderv2.shapes import Bool, Float


def psnr(mean_squared_error: float) -> float:
    """Return the peak signal-to-noise ratio in dB of colours in [0, 1]."""
    return float("inf") if mean_squared_error == 0 else float(-10 * torch.tensor(mean_squared_error).log10())


def ssim(rendered: Float[Tensor, "h w 3"], target: Float[Tensor, "h w 3"]) -> float:
    """Return the structural similarity of two images in [0, 1], with a Gaussian window of σ = 1.5 (Wang et al. 2004).

    Raises:
        ValueError: when the images are smaller than the window of 11×11 pixels.
    """
    if min(rendered.shape[:2]) < 11:
        raise UserError(
            f"SSIM needs images of 11×11 pixels at least, got {tuple(rendered.shape[:2])}; lower the stride"
        )
    return float(
        structural_similarity(
            rendered.numpy(),
            target.numpy(),
            channel_axis=-1,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


@dataclass(frozen=True)
class DepthErrors:
    """Sums of depth errors over rays, which can be added up over samples; `metrics` turns them into means.

    Attributes:
        relative: sum of |d - D| / D.
        squared: sum of (d - D)², in square metres.
        within: number of rays with max(d/D, D/d) < 1.25.
        count: number of rays.
    """

    relative: float
    squared: float
    within: float
    count: int

    def __add__(self, other: "DepthErrors") -> "DepthErrors":
        return DepthErrors(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))

    def metrics(self) -> dict[str, float]:
        """Return `abs_rel` (mean of |d - D| / D), `rmse` in metres and `delta1` (share with max(d/D, D/d) < 1.25).

        All are NaN when there is no ray.
        """
        count = self.count or float("nan")
        return {
            "abs_rel": self.relative / count,
            "rmse": (self.squared / count) ** 0.5,
            "delta1": self.within / count,
        }


def depth_errors(rendered: Float[Tensor, "*r"], target: Float[Tensor, "*r"], mask: Bool[Tensor, "*r"]) -> DepthErrors:
    """Return the errors of rendered depths (metres) over the rays in `mask`."""
    d, truth = rendered[mask].double(), target[mask].double()
    ratio = torch.maximum(d / truth, truth / d.clamp(min=1e-6))
    return DepthErrors(
        relative=float(((d - truth).abs() / truth).sum()),
        squared=float((d - truth).square().sum()),
        within=float((ratio < 1.25).sum()),
        count=int(mask.sum()),
    )
