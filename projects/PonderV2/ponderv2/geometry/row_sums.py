"""Weighted sums of rows of a table: a sparse matrix times the table, and the transpose of that product.

Interpolation is such a sum: a point's feature is made of four or eight rows. Neither direction makes a tensor of
points × rows × channels.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ponderv2.shapes import Float, Int
from ponderv2.structures import constant


def sum_rows(
    table: Float[Tensor, "r c"], rows: Int[Tensor, "p"], offsets: Sequence[int], weights: Float[Tensor, "p k"]
) -> Float[Tensor, "p c"]:
    """Compute `sum_k weights[p, k] * table[rows[p] + offsets[k]]` for each point p.

    Args:
        table: rows that are read.
        rows: first row of each point.
        offsets: distances of the K rows of a point from its first one.
        weights: weight of each row of each point.
    """
    return F.embedding_bag(_all_rows(rows, offsets), table, per_sample_weights=weights, mode="sum")


def add_to_rows(
    length: int,
    rows: Int[Tensor, "p"],
    offsets: Sequence[int],
    weights: Float[Tensor, "p k"],
    values: Float[Tensor, "s c"],
    source: Int[Tensor, "p"] | None = None,
) -> Float[Tensor, "r c"]:
    """Add `weights[p, k] * values[p]` to row `rows[p] + offsets[k]` of a table of zeros: the transpose of `sum_rows`.

    On a CPU the points are sorted by row, so that each row is the sum of a run of them: several times faster than
    scattering, and the same at every call.

    Args:
        length: number of rows of the table; what would be added behind its last row is left out.
        rows: first row of each point.
        offsets: distances of the K rows of a point from its first one, 0 or above.
        weights: weight of each row of each point.
        values: what is added; row p is of point p unless `source` says otherwise.
        source: row of `values` of each point.
    """
    if values.is_cuda:
        return _scatter(length, rows, offsets, weights, values if source is None else values[source])
    if len(rows) < length:
        return _sum_sorted_entries(length, rows, offsets, weights, values, source)
    return _sum_shifted_runs(length, rows, offsets, weights, values, source)


def _all_rows(rows: Int[Tensor, "p"], offsets: Sequence[int]) -> Int[Tensor, "p k"]:
    return rows[:, None] + constant(offsets, rows.device, rows.dtype)


def _scatter(length: int, rows: Tensor, offsets: Sequence[int], weights: Tensor, values: Tensor) -> Tensor:
    table = values.new_zeros(length + max(offsets), values.shape[-1])
    for k, offset in enumerate(offsets):
        table.index_add_(0, rows + offset, values * weights[:, k : k + 1])
    return table[:length]


def _sum_sorted_entries(
    length: int, rows: Tensor, offsets: Sequence[int], weights: Tensor, values: Tensor, source: Tensor | None
) -> Tensor:
    """Sort the entries of all points at once: best for long tables, over which it goes a single time."""
    target, order = torch.sort(_all_rows(rows, offsets).flatten())
    starts = F.pad(torch.bincount(target, minlength=length + max(offsets)).cumsum(0), (1, 0))
    point = torch.div(order, len(offsets), rounding_mode="floor")
    table = F.embedding_bag(
        point if source is None else source.index_select(0, point).long(),
        values,
        starts,
        per_sample_weights=weights.flatten().index_select(0, order),
        mode="sum",
        include_last_offset=True,
    )
    return table[:length]


def _sum_shifted_runs(
    length: int, rows: Tensor, offsets: Sequence[int], weights: Tensor, values: Tensor, source: Tensor | None
) -> Tensor:
    """Sort the points, once for all offsets, and add the table of each offset shifted: best for many points."""
    rows, order = torch.sort(rows)
    starts = torch.searchsorted(rows, torch.arange(length, device=rows.device, dtype=rows.dtype))
    entry = order if source is None else source.index_select(0, order).long()
    by_offset = weights.index_select(0, order).t().contiguous()
    table = values.new_zeros(length, values.shape[-1])
    for k, offset in enumerate(offsets):
        runs = F.embedding_bag(entry, values, starts, per_sample_weights=by_offset[k], mode="sum")
        table[offset:] += runs[: length - offset]
    return table
