"""Block masks of voxels (UniPAD §3.1; published setting: blocks of 8 voxels an axis, 80 % of them hidden)."""

import torch
from torch import Tensor

from ponderv2.shapes import Bool, Int
from ponderv2.structures import constant


def draw_voxel_mask(
    coordinates: Int[Tensor, "v 4"],
    batch_size: int,
    block: int | tuple[int, int, int] = 8,
    ratio: float = 0.8,
    generator: torch.Generator | None = None,
) -> Bool[Tensor, "v"]:
    """Hide a fixed share of the occupied blocks of each sample, and with a block all its voxels.

    Of the n blocks of a sample that hold voxels exactly `round(n * (1 - ratio))` stay visible; with few blocks
    that can be none.

    Args:
        coordinates: (sample, z, y, x) of the voxels, in any order.
        batch_size: number of samples.
        block: edge of a block in voxels, or an edge for each axis (x, y, z); blocks start at voxel 0.
        ratio: share of hidden blocks, in [0, 1).
        generator: source of randomness; None is torch's default one of the CPU. The mask is drawn where the
            generator lives, so that one seed gives the same mask whatever the device of the model.

    Returns:
        A mask of the voxels, True where a voxel is visible.

    Raises:
        ValueError: when `ratio` is outside [0, 1), or an edge is below 1.
    """
    edges = (block,) * 3 if isinstance(block, int) else tuple(block)
    if not 0 <= ratio < 1:
        raise ValueError(f"the share of hidden blocks is in [0, 1), not {ratio}")
    if len(edges) != 3 or min(edges) < 1:
        raise ValueError(f"a block has an edge of at least 1 voxel on each of 3 axes, not {block}")
    source = generator.device if generator is not None else torch.device("cpu")
    if len(coordinates) == 0:
        return torch.ones(0, dtype=torch.bool, device=coordinates.device)
    place = coordinates.long()
    steps = constant(edges[::-1], place.device, place.dtype)
    cell = torch.div(place[:, 1:], steps, rounding_mode="floor")
    size = cell.amax(dim=0) + 1
    key = ((place[:, 0] * size[0] + cell[:, 0]) * size[1] + cell[:, 1]) * size[2] + cell[:, 2]
    # 64-bit numbers instead of rows: sorting rows is many times slower.
    blocks, block_of_voxel = torch.unique(key, return_inverse=True)
    sample = torch.div(blocks, size.prod(), rounding_mode="floor").to(source)

    # A random order, then sample by sample: the first ones of each sample stay. Exact counts, which a coin toss
    # per block would not give.
    order = torch.rand(len(blocks), generator=generator, device=source).argsort()
    order = order[sample[order].argsort(stable=True)]
    total = torch.bincount(sample, minlength=batch_size)
    kept = torch.round(total.double() * (1 - ratio)).long()
    rank = torch.arange(len(blocks), device=source) - (total.cumsum(0) - total)[sample[order]]
    visible = torch.empty(len(blocks), dtype=torch.bool, device=source)
    visible[order] = rank < kept[sample[order]]
    return visible.to(coordinates.device)[block_of_voxel]
