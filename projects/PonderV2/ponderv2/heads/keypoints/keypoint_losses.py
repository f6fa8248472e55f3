"""Losses of key points: of their places and scores over two views, of their descriptors, and of scores of pictures."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ponderv2.shapes import Bool, Float

from .volume_keypoint_head import Candidates


def probabilistic_chamfer(
    first: Candidates, second: Candidates, valid: Bool[Tensor, "m"], farthest: float
) -> Float[Tensor, "m"]:
    """Compute the loss of each candidate of one view by the nearest one of another (USIP, Li and Lee 2019, 3.2).

    The distance d to the nearest is exponential with a mean s, that of the distances which both expect:
    `log(s) + d / s`, the negative log-likelihood. What is certain is pulled together; what cannot be found again, as
    what has moved, learns to expect a large distance, and needs no label for it.

    Args:
        first: candidates in the LiDAR frame of the second view.
        second: candidates of the second view; at least one.
        valid: which of the first lie where the second view has looked; others have a loss of 0.
        farthest: distance (m) beyond which it does not count how far away the nearest one is.
    """
    with torch.no_grad():
        nearest = torch.cdist(first.places, second.places).argmin(dim=1)
    # A distance of zero has no slope, and must not give NaN.
    apart = ((first.places - second.places[nearest]).square().sum(dim=1) + 1e-12).sqrt().clamp(max=farthest)
    expected = (first.distances + second.distances[nearest]) / 2
    return torch.where(valid, expected.log() + apart / expected, torch.zeros_like(apart))


def contrast(
    first: Float[Tensor, "k c"],
    second: Float[Tensor, "q c"],
    apart: Float[Tensor, "k q"],
    weights: Float[Tensor, "k"],
    near: float,
    far: float,
    temperature: float = 0.1,
) -> Float[Tensor, ""]:
    """Compute the InfoNCE loss of descriptors whose places are known; 0 where nothing has a partner.

    The partner of a descriptor is the nearest of the second view; those that are neither near nor far say nothing.

    Args:
        first: descriptors of unit length.
        second: descriptors of the second view.
        apart: distances (m) of their places.
        weights: weight of each of the first.
        near: largest distance (m) of a partner.
        far: distance (m) from which others are what a descriptor is to be told from.
        temperature: divisor of cosines.
    """
    if not first.shape[0] or not second.shape[0]:
        return first.sum() * 0
    closest, partner = apart.min(dim=1)
    weights = weights.where(closest <= near, 0.0)
    counts = apart >= far
    counts = counts.scatter(1, partner[:, None], True)
    logits = (first @ second.T / temperature).masked_fill(~counts, -torch.inf)
    loss = F.cross_entropy(logits, partner, reduction="none")
    return (weights * loss).sum() / weights.sum().clamp(min=1e-6)


def score_map_loss(logits: Float[Tensor, "*n h w"], targets: Float[Tensor, "*n h w"]) -> Float[Tensor, ""]:
    """Compute the quality focal loss of scores (Li et al. 2020, Eq. 5, with beta 2), by the sum of the targets."""
    apart = (logits.sigmoid() - targets).square()
    cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (apart * cross_entropy).sum() / targets.sum().clamp(min=1.0)


def view_spread(
    logits: Float[Tensor, "v k"], seen: Bool[Tensor, "v k"], weights: Float[Tensor, "k"]
) -> Float[Tensor, ""]:
    """Compute how far the scores of one place differ over the pictures that show it: their weighted mean variance.

    Args:
        logits: scores of the places in each picture.
        seen: which pictures show which place; places of a single picture do not count.
        weights: weight of each place.
    """
    scores, shown = logits.sigmoid(), seen.to(logits.dtype)
    number = shown.sum(dim=0)
    mean = (scores * shown).sum(dim=0) / number.clamp(min=1)
    variance = ((scores - mean).square() * shown).sum(dim=0) / number.clamp(min=1)
    weights = weights.where(number > 1, 0.0)
    return (weights * variance).sum() / weights.sum().clamp(min=1e-6)
