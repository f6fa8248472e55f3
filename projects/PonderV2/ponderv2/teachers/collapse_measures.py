"""Measures by which a collapse of features shows: how far they are spread, and over how many directions."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ponderv2.shapes import Bool, Float


@torch.no_grad()
def direction_moments(
    features: Float[Tensor, "*q c"], mask: Bool[Tensor, "*q"]
) -> tuple[Float[Tensor, "c"], Float[Tensor, "c c"]]:
    """Compute the mean of the directions of features, and of their outer products; NaN where none counts.

    Args:
        features: features of any length; their directions have length one. A feature of zeros has none, and counts as
            zeros.
        mask: which of them count.
    """
    units = F.normalize(features.detach().float().flatten(0, -2), dim=-1)
    # What does not count may be anything, NaN included.
    units = torch.where(mask.flatten()[:, None], units, torch.zeros_like(units))
    count = mask.sum()
    return units.sum(dim=0) / count, units.t() @ units / count


def spread_of(mean: Float[Tensor, "*k c"], moment: Float[Tensor, "*k c c"]) -> Float[Tensor, "*k"]:
    """Compute the standard deviation of directions, over all channels together, from their moments.

    As directions have length one, it is `sqrt(1 - |mean|^2)`: 0 for constant features, 1 for directions all around.
    Features of zeros have no direction, and take from the 1: it is 0 where all are zeros, and NaN where a moment is not
    finite.
    """
    share = moment.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    return (share - mean.square().sum(dim=-1)).clamp(min=0).sqrt()


def effective_rank(moment: Float[Tensor, "*k c c"]) -> Float[Tensor, "*k"]:
    """Compute the effective rank (Roy and Vetterli 2007, Def. 1) of a matrix of directions from its second moment.

    It is the exponential of the entropy of the singular values, 1 to C. The matrix is not centered, as in RankMe
    (Garrido et al. 2023): features that are the same but for a little noise have a rank near 1, and zeros have 1. It is
    NaN where the moment is not finite.
    """
    # The solver would raise, and end a training before its loss is looked at.
    finite = moment.isfinite().all(dim=-1).all(dim=-1)
    whole = torch.where(finite[..., None, None], moment.float(), 0.0)
    singular = torch.linalg.eigvalsh(whole).clamp(min=0).sqrt()
    share = singular / singular.sum(dim=-1, keepdim=True).clamp(min=1e-12)
    rank = torch.exp(torch.special.entr(share).sum(dim=-1))
    return torch.where(finite, rank, torch.nan)
