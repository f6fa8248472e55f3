"""Which LiDAR returns a sensor sees: the nearest ones."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ponderv2.shapes import Float, Int
from ponderv2.structures import CameraRig

from .projection import MIN_DEPTH


def nearest_per_cell(cell: Int[Tensor, "p"], distance: Float[Tensor, "p"]) -> Int[Tensor, "q"]:
    """Find the point with the smallest distance in each cell that has points, the first of equals.

    Args:
        cell: number of the cell that each point lies in, on the CPU.
        distance: distance of each point in any unit.

    Returns:
        Indices of points, one a cell, ordered by the cells' numbers.
    """
    if not len(cell):
        return cell
    cells, distances = cell.numpy(), distance.numpy()
    # Most cells have one point: sorting all by cell, and then by distance those that share one, is the fastest.
    order = np.argsort(cells, kind="stable")
    ordered = cells.take(order)
    repeats = np.zeros(len(order), dtype=bool)
    repeats[1:] = ordered[1:] == ordered[:-1]
    if not repeats.any():
        return torch.from_numpy(order)
    shared = repeats.copy()
    shared[:-1] |= repeats[1:]
    rows = order[shared]
    # The sort is stable, so of equals the first stays the first.
    order[shared] = rows[np.lexsort((distances[rows], ordered[shared]))]
    return torch.from_numpy(order[~repeats])


def visible_returns(
    points: Float[Tensor, "p 3"], rig: CameraRig
) -> tuple[list[Float[Tensor, "q 2"]], list[Float[Tensor, "q"]]]:
    """Find the returns that each camera sees: their pixels (u, v), and their distances from its centre in metres.

    They are those of `visible_rows`.

    Args:
        points: returns in the LiDAR frame of the rig, metres, on the CPU.
        rig: the cameras of one sample.
    """
    _, pixels, distances = visible_rows(points, rig)
    return pixels, distances


def visible_rows(
    points: Float[Tensor, "p 3"], rig: CameraRig
) -> tuple[list[Int[Tensor, "q"]], list[Float[Tensor, "q 2"]], list[Float[Tensor, "q"]]]:
    """Find the returns that each camera sees: their rows in `points`, their pixels, their distances from its centre.

    Of returns in one pixel the one with the smallest distance is kept, the first of equals. Cells are 64-bit
    integers: the published float keys cannot tell depths apart beyond the first rows of the image.

    Args:
        points: returns in the LiDAR frame of the rig, metres, on the CPU.
        rig: the cameras of one sample.
    """
    # In numpy and camera by camera, where what is not seen is left out step by step. Of each coordinate the values of
    # all points are a plane in memory: comparing planes is much faster than comparing rows.
    planes = np.ascontiguousarray(points.numpy().T)
    found = []
    for matrix, origin, size in zip(rig.lidar2img.numpy(), rig.origins.numpy(), rig.image_size.tolist(), strict=True):
        rows, pixels, cell = _seen(planes, matrix, size)
        x, y, z = planes.take(rows, axis=1) - origin[:, None]
        distance = np.sqrt(x * x + y * y + z * z)
        nearest = nearest_per_cell(torch.from_numpy(cell), torch.from_numpy(distance)).numpy()
        found.append(tuple(map(torch.from_numpy, (rows[nearest], pixels.take(nearest, axis=1).T, distance[nearest]))))
    return tuple(map(list, zip(*found, strict=True)))


def _seen(
    planes: Float[np.ndarray, "3 p"], lidar2img: Float[np.ndarray, "4 4"], size: Sequence[int]
) -> tuple[Int[np.ndarray, "q"], Float[np.ndarray, "2 q"], Int[np.ndarray, "q"]]:
    """Find the points, hidden ones too, that project into an image of (height, width) pixels.

    Returns:
        Their rows, their pixels (u, v), and the number of the cell that each lies in, row by row.
    """
    height, width = size
    u, v, depth = lidar2img[:3, :3] @ planes + lidar2img[:3, 3, None]
    rows = np.flatnonzero(depth > MIN_DEPTH)
    u = u[rows] / depth[rows]
    column = np.floor(u + 0.5)
    # Most points that are ahead are to the left or to the right of the image.
    kept = np.flatnonzero((column >= 0) & (column < width))
    rows, u, column = rows[kept], u[kept], column[kept]
    v = v[rows] / depth[rows]
    row = np.floor(v + 0.5)
    kept = np.flatnonzero((row >= 0) & (row < height))
    cell = row[kept].astype(np.int64) * width + column[kept].astype(np.int64)
    return rows[kept], np.stack([u[kept], v[kept]]), cell
