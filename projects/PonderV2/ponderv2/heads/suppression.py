"""Non-maximum suppression class by class, whatever the measure by which boxes of a class drop each other."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ponderv2.shapes import Bool, Float, Int


def suppress_by_class(
    scores: Float[Tensor, "n"],
    labels: Int[Tensor, "n"],
    limits: Mapping[int, float],
    keep: Callable[[Tensor, float], Bool[Tensor, "m"]],
) -> Int[Tensor, "k"]:
    """Return the indices of the boxes that are kept, by descending score.

    Args:
        scores: scores of boxes in any order.
        labels: their classes.
        limits: limit of each class; a class without one keeps all its boxes.
        keep: from the indices of the boxes of one class, by descending score, and the limit to which of them are kept.
    """
    order = scores.argsort(descending=True, stable=True)
    kept = torch.ones_like(labels, dtype=torch.bool)
    for label, limit in limits.items():
        members = order[labels[order] == label]
        if len(members):
            kept[members] = keep(members, limit)
    return order[kept[order]]
