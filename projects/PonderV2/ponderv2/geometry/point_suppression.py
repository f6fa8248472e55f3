"""Non-maximum suppression of points: of points that are close together the one with the highest score stays."""

import torch
from torch import Tensor

from ponderv2.shapes import Float, Int


@torch.no_grad()
def suppress_points(
    places: Float[Tensor, "p 3"], scores: Float[Tensor, "p"], radius: float, limit: int
) -> Int[Tensor, "k"]:
    """Choose points greedily by falling score, none within a radius of one that is chosen.

    Args:
        places: metres.
        scores: scores; of equal ones the first point counts as the higher. One that is not finite is never chosen.
        radius: distance (m) within which a point is suppressed, itself excluded.
        limit: largest number of points.

    Returns:
        Rows of the chosen points, by falling score.
    """
    order = scores.argsort(descending=True, stable=True)
    order = order[scores[order].isfinite()]
    # One point after another: a GPU would be waited for at each.
    ordered = places[order].cpu()
    free = torch.ones(len(order), dtype=torch.bool)
    chosen: list[int] = []
    while len(chosen) < limit and bool(free.any()):
        best = int(free.int().argmax())
        chosen.append(best)
        free &= (ordered - ordered[best]).square().sum(dim=1) > radius * radius
        free[best] = False
    return order[torch.tensor(chosen, dtype=torch.int64, device=places.device)]
