"""Opacity models: they turn signed distances into opacity, as `log(1 - alpha)` of each sample. All are interchangeable.

Each model also gives the probability that a point is occupied (`log_occupancy`), for losses on occupancy.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ponderv2.shapes import Float


class _SharpOpacity(nn.Module):
    """The base of NeuS and UNISURF: a learned sharpness k, and σ(-k·s) as the probability of being inside."""

    def __init__(self, init: float) -> None:
        super().__init__()
        self.log_sharpness = nn.Parameter(torch.tensor(float(init)))

    @property
    def sharpness(self) -> Float[Tensor, ""]:
        """The sharpness k, per scene unit; it is kept within [1e-6, 1e6]."""
        return torch.exp(10.0 * self.log_sharpness).clamp(1e-6, 1e6)

    def log_occupancy(self, sdf: Float[Tensor, "*p"]) -> tuple[Float[Tensor, "*p"], Float[Tensor, "*p"]]:
        """Compute the logarithms of the probability σ(-k·s) of being inside, and of its complement."""
        return F.logsigmoid(-self.sharpness * sdf), F.logsigmoid(self.sharpness * sdf)


class NeuSOpacity(_SharpOpacity):
    """The opacity model of NeuS (Wang et al. 2021, Eq. 13) in log space.

    A sample stands in the middle of a section of length `delta`. With the slope of the signed distance along
    the ray, c = -relu(-d·n), the section runs from s - c·delta/2 to s + c·delta/2, and
    1 - alpha = σ(k · end) / σ(k · start). The logarithm of that is a difference of two log-sigmoids: exact
    where the published quotient needs an epsilon, and never positive.

    Args:
        init: initial value of the parameter, published 0.3; the sharpness starts at k = exp(10 · init) ≈ 20 per scene
            unit, a transition of 2.7 m at a scale of 1/54.
        eps: number that is added to σ(k · start); 0 is exact. The published code adds 1e-5 to numerator and denominator
            of alpha, which is the same. Where σ is smaller, deep inside surfaces, sections become opaque; converted
            weights have learned with it.

    Raises:
        ValueError: when `eps` is negative.
    """

    def __init__(self, init: float = 0.3, eps: float = 0.0) -> None:
        super().__init__(init)
        if eps < 0:
            raise ValueError(f"eps: expected 0 or more, got {eps}")
        self.eps = eps

    def forward(
        self,
        sdf: Float[Tensor, "*r s"],
        normal: Float[Tensor, "*r s 3"],
        directions: Float[Tensor, "*r 3"],
        delta: Float[Tensor, "*r s"],
    ) -> Float[Tensor, "*r s"]:
        """Compute `log(1 - alpha)` of every sample; lengths are scene units."""
        slope = -F.relu(-(normal * directions[..., None, :]).sum(dim=-1))
        return neus_log_transparency(sdf, slope, delta, self.sharpness, self.eps)


class VolSDFOpacity(nn.Module):
    """The opacity model of VolSDF (Yariv et al. 2021, Eq. 2–3).

    The density is the cumulative Laplace distribution of -s with scale β, over β; 1 - alpha =
    exp(-density · delta). Neither normal nor direction matters.

    Args:
        init: initial value of β in scene units; 0.1 as in VolSDF (UniPAD's code starts at 0.3).
        minimum: smallest β, which is added to the learned |β|; published 1e-4.
    """

    def __init__(self, init: float = 0.1, minimum: float = 1e-4) -> None:
        super().__init__()
        self.raw_beta = nn.Parameter(torch.tensor(float(init)))
        self.minimum = minimum

    @property
    def beta(self) -> Float[Tensor, ""]:
        """The thickness β of a surface, scene units."""
        return self.raw_beta.abs() + self.minimum

    def forward(
        self,
        sdf: Float[Tensor, "*r s"],
        normal: Float[Tensor, "*r s 3"],
        directions: Float[Tensor, "*r 3"],
        delta: Float[Tensor, "*r s"],
    ) -> Float[Tensor, "*r s"]:
        """Compute `log(1 - alpha)` of every sample; lengths are scene units."""
        return -laplace_density(sdf, self.beta) * delta

    def log_occupancy(self, sdf: Float[Tensor, "*p"]) -> tuple[Float[Tensor, "*p"], Float[Tensor, "*p"]]:
        """Compute the logarithms of the Laplace probability of being inside, and of its complement."""
        tail = math.log(0.5) - sdf.abs() / self.beta
        rest = torch.log1p(-torch.exp(tail))
        return torch.where(sdf > 0, tail, rest), torch.where(sdf > 0, rest, tail)


class UniSurfOpacity(_SharpOpacity):
    """The opacity model of UNISURF (Oechsle et al. 2021, Eq. 7): alpha is the occupancy σ(-k·s) itself.

    It does not depend on the length of a section: surfaces, not media. The signed distance takes the place
    of the occupancy logit, as in UniPAD's sampler.

    Args:
        init: initial value of the parameter; the sharpness starts at k = exp(10 · init). 0.23 gives 10 per scene unit,
            the constant in that sampler.
    """

    def __init__(self, init: float = 0.23) -> None:
        super().__init__(init)

    def forward(
        self,
        sdf: Float[Tensor, "*r s"],
        normal: Float[Tensor, "*r s 3"],
        directions: Float[Tensor, "*r 3"],
        delta: Float[Tensor, "*r s"],
    ) -> Float[Tensor, "*r s"]:
        """Compute `log(1 - alpha)` of every sample; lengths are scene units."""
        return F.logsigmoid(self.sharpness * sdf)


def neus_log_transparency(
    sdf: Float[Tensor, "*r s"],
    slope: Float[Tensor, "*r s"],
    delta: Float[Tensor, "*r s"],
    sharpness: Float[Tensor, ""] | float,
    eps: float = 0.0,
) -> Float[Tensor, "*r s"]:
    """Compute `log(1 - alpha)` of sections of length `delta` about samples, from signed distance and slope (≤ 0).

    With `eps` it is that of the published quotient, σ(k · end) / (σ(k · start) + eps), see `NeuSOpacity`.
    """
    half = slope * delta / 2
    start = F.logsigmoid(sharpness * (sdf - half))
    if eps > 0:
        start = torch.log(start.exp() + eps)
    return F.logsigmoid(sharpness * (sdf + half)) - start


def laplace_density(sdf: Float[Tensor, "*p"], beta: Float[Tensor, "*#p"]) -> Float[Tensor, "*p"]:
    """Compute VolSDF's density per unit length: the cumulative Laplace distribution of -s with scale β, over β."""
    tail = 0.5 * torch.exp(-sdf.abs() / beta)
    return torch.where(sdf > 0, tail, 1 - tail) / beta
