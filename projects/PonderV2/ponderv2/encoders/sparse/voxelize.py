"""Voxelization: it finds the cells of a grid that hold points, and the means of these points."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ponderv2.shapes import Bool, Int
from ponderv2.structures import VoxelGrid, Voxels, cell_keys, sample_numbers


def voxelize(
    points: Sequence[Tensor], grid: VoxelGrid, max_points: int | None = None, max_voxels: int | None = None
) -> Voxels:
    """Compute the mean of the points of every voxel, for a batch of point clouds.

    Without limits every point counts ("dynamic"). With limits ("hard", published 10 points and 120,000 voxels)
    the choice is that of mmcv's deterministic kernel: the first points of a voxel, and the voxels that come
    first in the order of the points. It is the same program on every device.

    Points outside the half-open range are left out. Cells are found in float64, see `VoxelGrid.cell_of`.

    Args:
        points: point cloud `[P, C]` of each sample, C the same and at least 3: (x, y, z, ...) in metres; P may be 0.
        grid: the cells.
        max_points: largest number of points of a voxel; None for all.
        max_voxels: largest number of voxels of a sample; None for all.

    Returns:
        Voxels with C features; their `batch_size` is `len(points)`, whatever samples are empty.

    Raises:
        ValueError: when there is no sample, when clouds have differing or too few columns, or a limit is below 1.
    """
    _check(points, max_points, max_voxels)
    cloud = torch.cat(list(points))
    device = cloud.device
    sample = sample_numbers(points)
    cell, inside = grid.cell_of(cloud[:, :3].double())
    cloud, cell, sample = cloud[inside], cell[inside], sample[inside]

    nx, ny, nz = grid.size
    key = cell_keys(sample, cell[:, 2], cell[:, 1], cell[:, 0], grid)
    order = torch.argsort(key, stable=True)
    occupied, voxel, count = torch.unique_consecutive(key[order], return_inverse=True, return_counts=True)
    start = count.cumsum(0) - count
    if max_points is not None:
        place = torch.arange(len(order), device=device) - start[voxel]
        order, voxel = order[place < max_points], voxel[place < max_points]
        first, count = order[_starts(voxel)], count.clamp(max=max_points)
    else:
        first = order[start]
    # In float64, so that the mean does not depend on the order of the points.
    features = cloud.new_zeros(len(occupied), cloud.shape[1], dtype=torch.float64)
    features = (features.index_add_(0, voxel, cloud[order].double()) / count[:, None]).to(cloud.dtype)
    coordinates = torch.stack(
        [occupied // (nz * ny * nx), occupied // (ny * nx) % nz, occupied // nx % ny, occupied % nx], dim=1
    )
    voxels = Voxels(features, coordinates.int().contiguous(), len(points), grid)
    if max_voxels is None:
        return voxels
    return voxels.keep(_first_of_each_sample(coordinates[:, 0], first, voxels.counts(), max_voxels))


def _starts(voxel: Int[Tensor, "p"]) -> Bool[Tensor, "p"]:
    """Mark the entries at which a run of equal numbers begins."""
    begins = torch.ones_like(voxel, dtype=torch.bool)
    begins[1:] = voxel[1:] != voxel[:-1]
    return begins


def _first_of_each_sample(
    sample: Int[Tensor, "v"], first: Int[Tensor, "v"], counts: Int[Tensor, "b"], limit: int
) -> Bool[Tensor, "v"]:
    """Mark the voxels that are among the first `limit` of their sample, in the order of their first points."""
    # Points lie sample after sample, so that the order of first points is sample by sample too.
    order = first.argsort()
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device)
    return rank - (counts.cumsum(0) - counts)[sample] < limit


def _check(points: Sequence[Tensor], max_points: int | None, max_voxels: int | None) -> None:
    if not points:
        raise ValueError("voxelize: expected at least one point cloud, got none")
    columns = sorted({p.shape[1] for p in points})
    if len(columns) > 1 or columns[0] < 3:
        raise ValueError(f"voxelize: expected clouds with the same columns (x, y, z, ...), got {columns} columns")
    for name, limit in (("max_points", max_points), ("max_voxels", max_voxels)):
        if limit is not None and limit < 1:
            raise ValueError(f"{name}: expected a positive number or None, got {limit}")
