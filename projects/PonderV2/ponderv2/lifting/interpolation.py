"""Interpolation in feature maps as weighted sums of rows of a table.

A map of all views, flattened to rows, is read at any number of points of any view in one call, and the
backward pass keeps only row numbers and weights.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ponderv2.shapes import Float, Int


def gather_weighted(
    table: Float[Tensor, "r c"], rows: Int[Tensor, "p k"], weights: Float[Tensor, "p k"]
) -> Float[Tensor, "p c"]:
    """`sum_k weights[p, k] * table[rows[p, k]]`, without the `[p, k, c]` product in memory."""
    return F.embedding_bag(rows, table, per_sample_weights=weights, mode="sum")


def _linear(position: Float[Tensor, "p"], count: int) -> tuple[Int[Tensor, "p 2"], Float[Tensor, "p 2"]]:
    """The two neighbours of continuous positions among `count` values, and their weights; ends are repeated."""
    position = position.clamp(0, count - 1)
    low = position.floor().clamp(max=max(count - 2, 0))
    fraction = position - low
    low = low.long()
    return torch.stack([low, (low + 1).clamp(max=count - 1)], dim=1), torch.stack([1 - fraction, fraction], dim=1)


def bilinear_rows(
    view: Int[Tensor, "p"], uv: Float[Tensor, "p 2"], size: tuple[int, int]
) -> tuple[Int[Tensor, "p 4"], Float[Tensor, "p 4"]]:
    """Rows and weights of positions (u, v), in cells of maps `[views, H, W]` flattened to rows."""
    height, width = size
    v, wv = _linear(uv[:, 1], height)
    u, wu = _linear(uv[:, 0], width)
    rows = (view[:, None, None] * height + v[:, :, None]) * width + u[:, None, :]
    return rows.flatten(1), (wv[:, :, None] * wu[:, None, :]).flatten(1)


def depth_rows(
    view: Int[Tensor, "p"], uv: Float[Tensor, "p 2"], bin_index: Float[Tensor, "p"], size: tuple[int, int, int]
) -> tuple[Int[Tensor, "p 8"], Float[Tensor, "p 8"]]:
    """Rows and weights of (u, v) and continuous depth bins in maps `[views, D, H, W]` flattened to rows."""
    bins, height, width = size
    b, wb = _linear(bin_index, bins)
    pixel, weight = bilinear_rows(torch.zeros_like(view), uv, (height, width))
    rows = (view[:, None, None] * bins + b[:, :, None]) * (height * width) + pixel[:, None, :]
    return rows.flatten(1), (wb[:, :, None] * weight[:, None, :]).flatten(1)
