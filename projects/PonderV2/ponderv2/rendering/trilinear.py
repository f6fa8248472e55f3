"""Reading a feature volume between its cells, together with how the reading changes in space.

A volume becomes a table: a row a cell, with a border of zero cells around, so that the eight corners of every
place are eight rows at fixed distances from the first and nothing needs a mask. A reading is a weighted sum of
eight rows; its spatial slope along a given feature direction is another one. Neither stores the corners, and
their backward passes are written out: the same weights, summed over the points of each cell. Points sorted by
cell (`Places.sorted`) make these sums runs of neighbours, several times faster than scattering on a CPU.

Outside the outermost cell values the volume is zero, fading over half a cell at the border, as
`F.grid_sample(align_corners=False, padding_mode="zeros")` has it.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ponderv2.shapes import Bool, Float, Int


def trilinear(volume: Float[Tensor, "b c z y x"], index: Float[Tensor, "b q 3"]) -> Float[Tensor, "b q c"]:
    """Features at continuous cell indices (x, y, z), see `VoxelGrid.to_index`. Not differentiable in `index`."""
    places = locate(volume.shape, index)
    return read(as_table(volume), places).unflatten(0, index.shape[:2])


@dataclass(frozen=True)
class Places:
    """Where points lie among the cells of a volume.

    Attributes:
        rows: the table row of the lower corner of each.
        fraction: place between lower and upper corner (x, y, z), in [0, 1].
        inside: whether a point is within a cell of the outermost values; elsewhere everything is zero.
        offsets: how many rows further the eight corners lie; bit `a` of a corner's number: upper on axis `a`.
        ascending: the rows are known to be so.
    """

    rows: Int[Tensor, "p"]
    fraction: Float[Tensor, "p 3"]
    inside: Bool[Tensor, "p"]
    offsets: tuple[int, ...]
    ascending: bool = False

    def sorted(self) -> tuple["Places", Int[Tensor, "p"]]:
        """The same places by ascending row, and their order: entry i was entry `order[i]` before."""
        rows, order = torch.sort(self.rows)
        fraction, inside = self.fraction.index_select(0, order), self.inside.index_select(0, order)
        return Places(rows, fraction, inside, self.offsets, ascending=True), order

    def weights(self) -> Float[Tensor, "p 8"]:
        """Of the eight corners in a reading."""
        return _corner_products(*self._axis_pairs())

    def slopes(self) -> Float[Tensor, "3 p 8"]:
        """Derivatives of the weights by the index (x, y, z)."""
        pairs = self._axis_pairs()
        # Along an axis the lower corner loses what the upper one gains; `inside` is a factor of z's pair.
        gain = self.inside.to(self.fraction.dtype)
        one = torch.ones_like(gain)
        slopes = [(-one, one), (-one, one), (-gain, gain)]
        along = [[slopes[a] if a == axis else pairs[a] for a in range(3)] for axis in range(3)]
        return torch.stack([_corner_products(*factors) for factors in along])

    def _axis_pairs(self) -> list[tuple[Float[Tensor, "p"], Float[Tensor, "p"]]]:
        """Linear weights of the lower and upper corner on x, y, z; zero on z for points outside."""
        x, y, z = self.fraction.unbind(dim=1)
        return [(1 - x, x), (1 - y, y), ((1 - z) * self.inside, z * self.inside)]


def _corner_products(
    x: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor], z: tuple[Tensor, Tensor]
) -> Float[Tensor, "p 8"]:
    """Products of one factor an axis, for the eight corners."""
    plane = [x[k & 1] * y[k >> 1] for k in range(4)]
    return torch.stack([plane[k & 3] * z[k >> 2] for k in range(8)], dim=1)


def as_table(volume: Float[Tensor, "b c z y x"]) -> Float[Tensor, "r c"]:
    """The cells of all samples as rows, x fastest, each sample with a border of zero cells."""
    return F.pad(volume.permute(0, 2, 3, 4, 1), (0, 0, 1, 1, 1, 1, 1, 1)).flatten(0, 3)


def locate(shape: tuple[int, ...], index: Float[Tensor, "b q 3"]) -> Places:
    """Places of continuous cell indices (x, y, z) in the table of a volume of shape `[B, C, Z, Y, X]`."""
    batch, _, nz, ny, nx = shape
    size = torch.tensor([nx, ny, nz], device=index.device, dtype=index.dtype)
    index = index.detach()
    inside = ((index > -1) & (index < size)).all(dim=-1)
    # Far-away points would overflow the integers; they count nothing.
    index = torch.minimum(index.clamp(min=-1.0), size)
    lower = torch.minimum(index.floor(), size - 1)
    cell = (lower + 1).int()
    row, layer = nx + 2, (nx + 2) * (ny + 2)
    rows = cell[..., 2] * layer + cell[..., 1] * row + cell[..., 0]
    rows = rows + torch.arange(batch, device=index.device, dtype=rows.dtype)[:, None] * (layer * (nz + 2))
    offsets = tuple((k & 1) + (k >> 1 & 1) * row + (k >> 2 & 1) * layer for k in range(8))
    return Places(rows.flatten(), (index - lower).flatten(0, 1), inside.flatten(), offsets)


def read(table: Float[Tensor, "r c"], places: Places) -> Float[Tensor, "p c"]:
    """Trilinear features; differentiable in the table."""
    return _WeightedRows.apply(table, places.rows, places.weights(), places.offsets, places.ascending)


def read_slope(table: Float[Tensor, "r c"], places: Places, direction: Float[Tensor, "p c"]) -> Float[Tensor, "p 3"]:
    """How the reading changes along the index axes (x, y, z), as a dot product with a feature direction.

    Differentiable in the table and in `direction`.
    """
    return _SlopeAlong.apply(table, direction, places.rows, places.slopes(), places.offsets, places.ascending)


class _WeightedRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx, table: Tensor, rows: Tensor, weights: Tensor, offsets: tuple[int, ...], ascending: bool) -> Tensor:
        ctx.save_for_backward(rows, weights)
        ctx.offsets, ctx.ascending, ctx.length = offsets, ascending, table.shape[0]
        return _sum_rows(table, rows, offsets, weights)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, weights = ctx.saved_tensors
        by_table = _add_to_rows(ctx.length, rows, ctx.offsets, weights, grad, ctx.ascending)
        return by_table, None, None, None, None


class _SlopeAlong(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx,
        table: Tensor,
        direction: Tensor,
        rows: Tensor,
        slopes: Tensor,
        offsets: tuple[int, ...],
        ascending: bool,
    ) -> Tensor:
        ctx.save_for_backward(table, direction, rows, slopes)
        ctx.offsets, ctx.ascending = offsets, ascending
        along = [(_sum_rows(table, rows, offsets, slope) * direction).sum(dim=-1) for slope in slopes]
        return torch.stack(along, dim=-1)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        table, direction, rows, slopes = ctx.saved_tensors
        # The slope is linear in both: its derivatives are sums with these eight weights.
        weights = sum(grad[:, axis, None] * slope for axis, slope in enumerate(slopes))
        by_table = _add_to_rows(table.shape[0], rows, ctx.offsets, weights, direction, ctx.ascending)
        return by_table, _sum_rows(table, rows, ctx.offsets, weights), None, None, None, None


def _sum_rows(
    table: Float[Tensor, "r c"], rows: Int[Tensor, "p"], offsets: tuple[int, ...], weights: Float[Tensor, "p 8"]
) -> Float[Tensor, "p c"]:
    corners = rows[:, None] + torch.tensor(offsets, device=rows.device, dtype=rows.dtype)
    return F.embedding_bag(corners, table, per_sample_weights=weights, mode="sum")


def _add_to_rows(
    length: int,
    rows: Int[Tensor, "p"],
    offsets: tuple[int, ...],
    weights: Float[Tensor, "p 8"],
    values: Float[Tensor, "p c"],
    ascending: bool,
) -> Float[Tensor, "r c"]:
    """The transpose of `_sum_rows`: a table with `weights * values` added to the eight rows of each place."""
    table = values.new_zeros(length, values.shape[-1])
    if values.is_cuda:
        for k, offset in enumerate(offsets):
            table.index_add_(0, rows + offset, values * weights[:, k : k + 1])
        return table
    # On a CPU: sum the runs of points with one row, once for each corner, and add these tables shifted.
    if not ascending:
        rows, order = torch.sort(rows)
        weights, values = weights.index_select(0, order), values.index_select(0, order)
    starts = torch.searchsorted(rows, torch.arange(length, device=rows.device, dtype=rows.dtype), out_int32=True)
    points = torch.arange(rows.shape[0], device=rows.device, dtype=starts.dtype)
    by_corner = weights.t().contiguous()
    for k, offset in enumerate(offsets):
        runs = F.embedding_bag(points, values, starts, per_sample_weights=by_corner[k], mode="sum")
        table[offset:] += runs[: length - offset]
    return table
