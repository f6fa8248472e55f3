"""Points on surfaces, of a density that does not hang on the distance, and which of them are near a place."""

import torch
from torch import Tensor

from ponderv2.shapes import Float, Int
from ponderv2.structures import VoxelGrid, constant


@torch.no_grad()
def thin_points(points: Float[Tensor, "p 3"], grid: VoxelGrid, cell: float) -> Float[Tensor, "s 3"]:
    """Compute the means of the returns in each cell of some size; returns outside the range of the grid are left out.

    A wall at 10 m has a hundred times the returns of one at 50 m; means count it as often as its area says, as far as
    returns are closer than the cells (D3Feat, Bai et al. 2020, 3.2, is after the same).
    """
    points = points[grid.contains(points)]
    index = ((points - constant(grid.lower, points.device, points.dtype)) / cell).long()
    return _means(points, index)


@torch.no_grad()
def candidate_centers(points: Float[Tensor, "s 3"], cell: float, radius: float) -> Float[Tensor, "m 3"]:
    """Compute one place for each cell of some size that has points: where one step of mean shift leads from their mean.

    The step goes to the mean of all points within the radius, whichever cell they are in: a pole between two cells has
    the same place as one inside of a cell.
    """
    index = (points / cell).floor().long()
    centers = _means(points, index - index.amin(dim=0)) if len(points) else points
    center, near = pairs_within(centers, points, radius)
    return mean_of_pairs(points[near], center, len(centers))


@torch.no_grad()
def pairs_within(
    centers: Float[Tensor, "m 3"], points: Float[Tensor, "s 3"], radius: float
) -> tuple[Int[Tensor, "q"], Int[Tensor, "q"]]:
    """Find all pairs of a center and a point that are at most a radius apart.

    Returns:
        Rows of the centers, ascending, and of the points.
    """
    if not len(points) or not len(centers):
        nothing = torch.zeros(0, dtype=torch.int64, device=points.device)
        return nothing, nothing
    # Points are sorted by cubes as wide as the radius, so that 27 cubes hold all that is near a center.
    origin = points.amin(dim=0)
    index = ((points - origin) / radius).long()
    extent = index.amax(dim=0) + 1
    order = (keys := _keys(index, extent)).argsort()
    keys = keys[order]
    around = ((centers - origin) / radius).floor().long()[:, None] + _steps(points.device)
    inside = ((around >= 0) & (around < extent)).all(dim=-1)
    wanted = _keys(around, extent)
    start = torch.searchsorted(keys, wanted)
    count = (torch.searchsorted(keys, wanted, right=True) - start).where(inside, 0).flatten()
    cubes = torch.arange(len(count), device=points.device).repeat_interleave(count)
    within = torch.arange(len(cubes), device=points.device) - (count.cumsum(0) - count)[cubes]
    near, center = order[start.flatten()[cubes] + within], cubes // wanted.shape[1]
    close = (points[near] - centers[center]).square().sum(dim=1) <= radius * radius
    return center[close], near[close]


def mean_of_pairs(values: Float[Tensor, "q c"], rows: Int[Tensor, "q"], count: int) -> Float[Tensor, "m c"]:
    """Compute the mean of the values of each row; zeros for a row without any."""
    total = values.new_zeros(count, values.shape[1]).index_add(0, rows, values)
    return total / torch.bincount(rows, minlength=count).clamp(min=1)[:, None]


def softmax_of_pairs(logits: Float[Tensor, "q"], rows: Int[Tensor, "q"], count: int) -> Float[Tensor, "q"]:
    """Compute the softmax of logits over the pairs of each row."""
    highest = logits.detach().new_full((count,), -torch.inf).scatter_reduce(0, rows, logits.detach(), "amax")
    exponential = torch.exp(logits - highest[rows])
    return exponential / exponential.new_zeros(count).index_add(0, rows, exponential)[rows]


def max_of_pairs(values: Float[Tensor, "q c"], rows: Int[Tensor, "q"], count: int) -> Float[Tensor, "m c"]:
    """Compute the maximum of the values of each row, channel by channel; values and result are not negative."""
    index = rows[:, None].expand_as(values)
    return values.new_zeros(count, values.shape[1]).scatter_reduce(0, index, values, "amax")


def _means(points: Float[Tensor, "p 3"], index: Int[Tensor, "p 3"]) -> Float[Tensor, "s 3"]:
    if not len(points):
        return points
    _, rows = torch.unique(_keys(index, index.amax(dim=0) + 1), return_inverse=True)
    return mean_of_pairs(points, rows, int(rows.max()) + 1)


def _keys(index: Int[Tensor, "*n 3"], extent: Int[Tensor, "3"]) -> Int[Tensor, "*n"]:
    return (index[..., 0] * extent[1] + index[..., 1]) * extent[2] + index[..., 2]


def _steps(device: torch.device) -> Int[Tensor, "27 3"]:
    axis = torch.arange(-1, 2, device=device)
    return torch.cartesian_prod(axis, axis, axis)
