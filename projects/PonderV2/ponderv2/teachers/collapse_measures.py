"""Measures by which a collapse of features shows: how far they are spread, and over how many directions."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ponderv2.shapes import Bool, Float


@torch.no_grad()
def feature_covariance(features: Float[Tensor, "*q c"], mask: Bool[Tensor, "*q"]) -> Float[Tensor, "c c"]:
    """Compute the covariance of the directions of features, that is of features of length one.

    Args:
        features: features of any length.
        mask: which of them count; without any the result is zero.
    """
    units = F.normalize(features.detach().float().flatten(0, -2), dim=-1)
    weights = mask.flatten().float()
    weights = weights / weights.sum().clamp(min=1)
    # What does not count may be anything, NaN included.
    units = torch.where(mask.flatten()[:, None], units, torch.zeros_like(units))
    centered = units - weights @ units
    return centered.t() @ (centered * weights[:, None])


def spread_of(covariance: Float[Tensor, "*k c c"]) -> Float[Tensor, "*k"]:
    """Compute the root of the summed variance of directions: 0 for constant features, 1 for directions all around."""
    return covariance.diagonal(dim1=-2, dim2=-1).sum(dim=-1).clamp(min=0).sqrt()


def effective_rank(covariance: Float[Tensor, "*k c c"]) -> Float[Tensor, "*k"]:
    """Compute the effective rank (Roy and Vetterli 2007, Def. 1) of features with a covariance.

    It is the exponential of the entropy of the singular values of the centered features, 1 to C; that of constant
    features is counted as 1.
    """
    singular = torch.linalg.eigvalsh(covariance.float()).clamp(min=0).sqrt()
    share = singular / singular.sum(dim=-1, keepdim=True).clamp(min=1e-12)
    return torch.exp(torch.special.entr(share).sum(dim=-1))
