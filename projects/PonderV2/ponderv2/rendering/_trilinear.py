"""Trilinear interpolation of a feature volume at many points, together with its gradient in space.

A volume becomes flattened cells: a row for each cell, with a border of zero cells around each sample. So the eight
corners of every point are eight rows at fixed distances from the first, and nothing needs a mask. An interpolated
feature is a weighted sum of eight rows; its spatial gradient along a given feature direction is another such sum.
Neither stores the corners, and their backward passes are written out: the same weights, summed over the points of
each cell. Points sorted by cell (`TrilinearIndex.sorted`) read neighbouring rows.

Beyond the outermost cell values the volume fades to zero over one cell, as in
`F.grid_sample(align_corners=False, padding_mode="zeros")`.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ponderv2.geometry import add_to_rows, sum_rows
from ponderv2.shapes import Bool, Float, Int
from ponderv2.structures import constant


def trilinear(volume: Float[Tensor, "b c z y x"], index: Float[Tensor, "b q 3"]) -> Float[Tensor, "b q c"]:
    """Interpolate features at continuous cell indices (x, y, z), see `VoxelGrid.to_index`.

    The result is differentiable in the volume, any number of times, but not in the index. It has the wider type of the
    two, single precision at least.

    Raises:
        NotImplementedError: when a gradient for the index is asked for.
    """
    refuse_gradients(index, "index")
    dtype = precision_of(volume, index)
    places = trilinear_index(volume.shape, index.to(dtype))
    return gather(flatten_cells(volume.to(dtype)), places).unflatten(0, index.shape[:2])


def precision_of(volume: Tensor, index: Tensor) -> torch.dtype:
    """Return the type in which a volume is read: half precision, as autocast makes it, is widened to single."""
    return torch.promote_types(torch.promote_types(volume.dtype, index.dtype), torch.float32)


def refuse_gradients(places: Tensor, name: str) -> None:
    """Raise where a gradient for places in the volume is asked for, which would be left out silently otherwise.

    Raises:
        NotImplementedError: when the places require a gradient, and gradients are on.
    """
    if places.requires_grad and torch.is_grad_enabled():
        raise NotImplementedError(
            f"{name} requires a gradient, but reading a volume here passes none on to places: detach it. The gradient "
            "of the signed distance in space is `FieldOutput.normal`; features have one with `geometry.sample_volume`"
        )


@dataclass(frozen=True)
class TrilinearIndex:
    """The cells between which points lie, and how far they lie between them.

    Attributes:
        rows: row of the lower corner of each point among the flattened cells.
        fraction: position of each point between the lower and the upper corner (x, y, z), in [0, 1].
        inside: mask of the points within a cell of the outermost values; everywhere else the volume is zero, and not
            a number where a coordinate is none.
        offsets: distances of the eight corners from the lower one, in rows; where bit `a` of a corner's number is
            set, the corner is the upper one on axis `a`.
    """

    rows: Int[Tensor, "p"]
    fraction: Float[Tensor, "p 3"]
    inside: Bool[Tensor, "p"]
    offsets: tuple[int, ...]

    def sorted(self) -> tuple["TrilinearIndex", Int[Tensor, "p"]]:
        """Sort the points by row.

        Returns:
            The sorted index, and its order: its entry i is entry `order[i]` of this one.
        """
        rows, order = torch.sort(self.rows)
        fraction, inside = self.fraction.index_select(0, order), self.inside.index_select(0, order)
        return TrilinearIndex(rows, fraction, inside, self.offsets), order

    def weights(self) -> Float[Tensor, "p 8"]:
        """Compute the weights of the eight corners."""
        return _corner_products(*self._axis_pairs())

    def weight_gradients(self) -> Float[Tensor, "3 p 8"]:
        """Compute the derivatives of the weights by the index (x, y, z)."""
        pairs = self._axis_pairs()
        # Along an axis the lower corner loses what the upper one gains; `inside` is a factor of z's pair.
        gain = self.inside.to(self.fraction.dtype)
        one = torch.ones_like(gain)
        slopes = [(-one, one), (-one, one), (-gain, gain)]
        along = [[slopes[a] if a == axis else pairs[a] for a in range(3)] for axis in range(3)]
        return torch.stack([_corner_products(*factors) for factors in along])

    def _axis_pairs(self) -> list[tuple[Float[Tensor, "p"], Float[Tensor, "p"]]]:
        """Compute the linear weights of the lower and upper corner on x, y, z; on z they are 0 for points outside."""
        x, y, z = self.fraction.unbind(dim=1)
        return [(1 - x, x), (1 - y, y), ((1 - z) * self.inside, z * self.inside)]


def _corner_products(
    x: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor], z: tuple[Tensor, Tensor]
) -> Float[Tensor, "p 8"]:
    """Multiply one factor of each axis for each of the eight corners."""
    plane = [x[k & 1] * y[k >> 1] for k in range(4)]
    return torch.stack([plane[k & 3] * z[k >> 2] for k in range(8)], dim=1)


def flatten_cells(volume: Float[Tensor, "b c z y x"]) -> Float[Tensor, "r c"]:
    """Lay out the cells of all samples as rows, x fastest, each sample with a border of zero cells."""
    return F.pad(volume.permute(0, 2, 3, 4, 1), (0, 0, 1, 1, 1, 1, 1, 1)).flatten(0, 3)


def trilinear_index(shape: tuple[int, ...], index: Float[Tensor, "b q 3"]) -> TrilinearIndex:
    """Find the corners of continuous cell indices (x, y, z) among the flattened cells of a `[B, C, Z, Y, X]` volume."""
    batch, _, nz, ny, nx = shape
    size = constant((nx, ny, nz), index.device, index.dtype)
    index = index.detach()
    inside = ((index > -1) & (index < size)).all(dim=-1)
    # Far-away points would overflow the integers; they count nothing.
    index = torch.minimum(index.clamp(min=-1.0), size)
    lower = torch.minimum(index.floor(), size - 1)
    # What is not a number lies in no cell. It takes the first one, and its weights carry on that it is none.
    cell = (torch.nan_to_num(lower, nan=-1.0) + 1).int()
    row, layer = nx + 2, (nx + 2) * (ny + 2)
    rows = cell[..., 2] * layer + cell[..., 1] * row + cell[..., 0]
    rows = rows + torch.arange(batch, device=index.device, dtype=rows.dtype)[:, None] * (layer * (nz + 2))
    offsets = tuple((k & 1) + (k >> 1 & 1) * row + (k >> 2 & 1) * layer for k in range(8))
    return TrilinearIndex(rows.flatten(), (index - lower).flatten(0, 1), inside.flatten(), offsets)


def gather(cells: Float[Tensor, "r c"], index: TrilinearIndex) -> Float[Tensor, "p c"]:
    """Interpolate features from flattened cells, in which the result is differentiable."""
    return _Gather.apply(cells, index.rows, index.weights(), index.offsets)


def gather_gradient(
    cells: Float[Tensor, "r c"], index: TrilinearIndex, direction: Float[Tensor, "p c"]
) -> Float[Tensor, "p 3"]:
    """Compute the derivatives, by the index (x, y, z), of the dot product of features and a feature direction.

    The result is differentiable in the cells and in `direction`.
    """
    return _GatherGradient.apply(cells, direction, index.rows, index.weight_gradients(), index.offsets)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, cells: Tensor, rows: Tensor, weights: Tensor, offsets: tuple[int, ...]) -> Tensor:
        ctx.save_for_backward(rows, weights)
        ctx.offsets, ctx.length = offsets, len(cells)
        return sum_rows(cells, rows, offsets, weights)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, weights = ctx.saved_tensors
        by_cell = add_to_rows(ctx.length, rows, ctx.offsets, weights, grad)
        return by_cell, None, None, None


class _GatherGradient(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx,
        cells: Tensor,
        direction: Tensor,
        rows: Tensor,
        slopes: Tensor,
        offsets: tuple[int, ...],
    ) -> Tensor:
        ctx.save_for_backward(cells, direction, rows, slopes)
        ctx.offsets = offsets
        along = [(sum_rows(cells, rows, offsets, slope) * direction).sum(dim=-1) for slope in slopes]
        return torch.stack(along, dim=-1)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        cells, direction, rows, slopes = ctx.saved_tensors
        # The result is linear in both inputs: its derivatives are sums with these eight weights.
        weights = sum(grad[:, axis, None] * slope for axis, slope in enumerate(slopes))
        by_cell = add_to_rows(len(cells), rows, ctx.offsets, weights, direction)
        return by_cell, sum_rows(cells, rows, ctx.offsets, weights), None, None, None
