"""Reading a feature volume between its cells, together with how the reading changes in space.

The spatial derivative of a trilinear reading is another linear combination of the same eight corners. Both
come from one product, which keeps only the weights for the backward pass: no double backward is needed for
normals, and the eight corners of every point are never stored.

Outside the outermost cell values the volume is zero, fading over half a cell at the border, as
`F.grid_sample(align_corners=False, padding_mode="zeros")` has it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ponderv2.shapes import Float, Int


def trilinear(volume: Float[Tensor, "b c z y x"], index: Float[Tensor, "b q 3"]) -> Float[Tensor, "b q c"]:
    """Features at continuous cell indices (x, y, z), see `VoxelGrid.to_index`. Not differentiable in `index`."""
    corners, fraction, inside = _corners(volume, index)
    # One sum of weighted rows: forward, the fastest there is; backward is for tests, training needs none here.
    values = F.embedding_bag(corners, _table(volume), per_sample_weights=_weights(fraction) * inside, mode="sum")
    return values.reshape(*index.shape[:2], -1)


def trilinear_with_gradient(
    volume: Float[Tensor, "b c z y x"], index: Float[Tensor, "b q 3"]
) -> tuple[Float[Tensor, "b q c"], Float[Tensor, "b q 3 c"]]:
    """Features, and their derivatives along the three index axes (x, y, z).

    Both are differentiable in `volume`; neither in `index`.
    """
    corners, fraction, inside = _corners(volume, index)
    weights = torch.cat([_weights(fraction)[:, None], _weight_slopes(fraction)], dim=1) * inside[:, None]
    values = _combine(volume, corners, weights).reshape(*index.shape[:2], 4, -1)
    return values[:, :, 0], values[:, :, 1:]


def _corners(
    volume: Float[Tensor, "b c z y x"], index: Float[Tensor, "b q 3"]
) -> tuple[Int[Tensor, "p 8"], Float[Tensor, "p 3"], Float[Tensor, "p 8"]]:
    """Rows of the flattened volume around each point, the point's place between them, and which exist."""
    batch, _, *shape = volume.shape
    size = torch.tensor(shape[::-1], device=volume.device)
    # Far-away points would overflow the integers; beyond one cell outside everything is zero anyway.
    index = index.detach().clamp(min=-2.0)
    index = torch.minimum(index, (size + 1).to(index.dtype))
    base = index.floor()
    fraction = (index - base).reshape(-1, 3)
    steps = torch.tensor([[k >> a & 1 for a in range(3)] for k in range(8)], device=volume.device)
    cells = base.long()[:, :, None] + steps  # b q 8 3
    inside = ((cells >= 0) & (cells < size)).all(dim=-1)
    cells = torch.minimum(cells.clamp(min=0), size - 1)
    nx, ny = size[0], size[1]
    rows = (cells[..., 2] * ny + cells[..., 1]) * nx + cells[..., 0]
    rows = rows + torch.arange(batch, device=volume.device)[:, None, None] * size.prod()
    return rows.reshape(-1, 8), fraction, inside.reshape(-1, 8).to(volume.dtype)


def _axis_factors(fraction: Float[Tensor, "p 3"]) -> tuple[Float[Tensor, "p 8"], ...]:
    """For each axis the linear weight of each of the eight corners (bit `a` of the corner: upper on axis `a`)."""
    factors = []
    for axis in range(3):
        pair = torch.stack([1 - fraction[:, axis], fraction[:, axis]], dim=1)
        upper = [k >> axis & 1 for k in range(8)]
        factors.append(pair[:, upper])
    return tuple(factors)


def _weights(fraction: Float[Tensor, "p 3"]) -> Float[Tensor, "p 8"]:
    x, y, z = _axis_factors(fraction)
    return x * y * z


def _weight_slopes(fraction: Float[Tensor, "p 3"]) -> Float[Tensor, "p 3 8"]:
    x, y, z = _axis_factors(fraction)
    signs = fraction.new_tensor([[2.0 * (k >> axis & 1) - 1.0 for k in range(8)] for axis in range(3)])
    return torch.stack([y * z, x * z, x * y], dim=1) * signs


def _combine(
    volume: Float[Tensor, "b c z y x"], rows: Int[Tensor, "p 8"], weights: Float[Tensor, "p k 8"]
) -> Float[Tensor, "p k c"]:
    return torch.bmm(weights, F.embedding(rows, _table(volume)))


def _table(volume: Float[Tensor, "b c z y x"]) -> Float[Tensor, "r c"]:
    """The cells of all samples as rows, x fastest."""
    return volume.permute(0, 2, 3, 4, 1).reshape(-1, volume.shape[1])
