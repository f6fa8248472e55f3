"""From signed distances to opacity, as `log(1 - alpha)` of each sample. Interchangeable.

Each model also says how probably a point is occupied (`log_occupancy`), for losses on occupancy.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ponderv2.shapes import Float


class _SharpOpacity(nn.Module):
    """What NeuS and UNISURF share: a learned sharpness k, and σ(-k·s) as the probability of being inside."""

    def __init__(self, init: float) -> None:
        super().__init__()
        self.log_sharpness = nn.Parameter(torch.tensor(float(init)))

    @property
    def sharpness(self) -> Float[Tensor, ""]:
        """k, per scene unit; within [1e-6, 1e6]."""
        return torch.exp(10.0 * self.log_sharpness).clamp(1e-6, 1e6)

    def log_occupancy(self, sdf: Float[Tensor, "*p"]) -> tuple[Float[Tensor, "*p"], Float[Tensor, "*p"]]:
        """Logarithms of σ(-k·s), being inside, and of its opposite."""
        return F.logsigmoid(-self.sharpness * sdf), F.logsigmoid(self.sharpness * sdf)


class NeuSOpacity(_SharpOpacity):
    """Opacity of NeuS (Wang et al. 2021, Eq. 13) in log space.

    A sample stands in the middle of a section of length `delta`. With the slope of the signed distance along
    the ray, c = -relu(-d·n), the section runs from s - c·delta/2 to s + c·delta/2, and
    1 - alpha = σ(k · end) / σ(k · start). The logarithm of that is a difference of two log-sigmoids: exact
    where the published quotient needs an epsilon, and never positive.

    Args:
        init: published 0.3; the sharpness starts at k = exp(10 · init) ≈ 20 per scene unit, a transition of
            2.7 m at a scale of 1/54.
    """

    def __init__(self, init: float = 0.3) -> None:
        super().__init__(init)

    def forward(
        self,
        sdf: Float[Tensor, "*r s"],
        normal: Float[Tensor, "*r s 3"],
        directions: Float[Tensor, "*r 3"],
        delta: Float[Tensor, "*r s"],
    ) -> Float[Tensor, "*r s"]:
        """`log(1 - alpha)` a sample; lengths in scene units."""
        slope = -F.relu(-(normal * directions[..., None, :]).sum(dim=-1))
        return neus_log_transparency(sdf, slope, delta, self.sharpness)


class VolSDFOpacity(nn.Module):
    """Opacity of VolSDF (Yariv et al. 2021, Eq. 2–3).

    The density is the cumulative Laplace distribution of -s with scale β, over β; 1 - alpha =
    exp(-density · delta). Neither normal nor direction matters.

    Args:
        init: of β in scene units; 0.1 as in VolSDF (UniPAD's code starts at 0.3).
        minimum: added to the learned |β|; published 1e-4.
    """

    def __init__(self, init: float = 0.1, minimum: float = 1e-4) -> None:
        super().__init__()
        self.raw_beta = nn.Parameter(torch.tensor(float(init)))
        self.minimum = minimum

    @property
    def beta(self) -> Float[Tensor, ""]:
        """β, scene units: how thick a surface is."""
        return self.raw_beta.abs() + self.minimum

    def forward(
        self,
        sdf: Float[Tensor, "*r s"],
        normal: Float[Tensor, "*r s 3"],
        directions: Float[Tensor, "*r 3"],
        delta: Float[Tensor, "*r s"],
    ) -> Float[Tensor, "*r s"]:
        """`log(1 - alpha)` a sample; lengths in scene units."""
        return -laplace_density(sdf, self.beta) * delta

    def log_occupancy(self, sdf: Float[Tensor, "*p"]) -> tuple[Float[Tensor, "*p"], Float[Tensor, "*p"]]:
        """Logarithms of the Laplace probability that -s is exceeded, and of its opposite."""
        tail = math.log(0.5) - sdf.abs() / self.beta
        rest = torch.log1p(-torch.exp(tail))
        return torch.where(sdf > 0, tail, rest), torch.where(sdf > 0, rest, tail)


class UniSurfOpacity(_SharpOpacity):
    """Opacity of UNISURF (Oechsle et al. 2021, Eq. 7): alpha is the occupancy itself, σ(-k·s).

    It does not depend on the length of a section: surfaces, not media. The signed distance takes the place
    of the occupancy logit, as in UniPAD's sampler.

    Args:
        init: the sharpness starts at k = exp(10 · init); 0.23 is 10 per scene unit, the constant in that
            sampler.
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
        """`log(1 - alpha)` a sample; lengths in scene units."""
        return F.logsigmoid(self.sharpness * sdf)


def neus_log_transparency(
    sdf: Float[Tensor, "*r s"],
    slope: Float[Tensor, "*r s"],
    delta: Float[Tensor, "*r s"],
    sharpness: Float[Tensor, ""] | float,
) -> Float[Tensor, "*r s"]:
    """`log(1 - alpha)` of sections of length `delta` about samples with signed distance and slope ≤ 0."""
    half = slope * delta / 2
    return F.logsigmoid(sharpness * (sdf + half)) - F.logsigmoid(sharpness * (sdf - half))


def laplace_density(sdf: Float[Tensor, "*p"], beta: Float[Tensor, "*#p"]) -> Float[Tensor, "*p"]:
    """VolSDF's density per unit length: the cumulative Laplace distribution of -s with scale β, over β."""
    tail = 0.5 * torch.exp(-sdf.abs() / beta)
    return torch.where(sdf > 0, tail, 1 - tail) / beta
