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
    # Most cells have one point: sorting by cell alone and then looking at the cells is faster than sorting by both. The
    # order within a cell does not matter.
    order = np.argsort(cell.numpy())
    ordered, distances = cell.numpy()[order], distance.numpy()[order]
    starts = np.concatenate([[0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1])
    counts = np.diff(starts, append=len(ordered))
    nearest = distances == np.repeat(np.minimum.reduceat(distances, starts), counts)
    return torch.from_numpy(np.minimum.reduceat(np.where(nearest, order, len(order)), starts))


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
        x, y, z = planes[:, rows] - origin[:, None]
        distance = np.sqrt(x * x + y * y + z * z)
        nearest = nearest_per_cell(torch.from_numpy(cell), torch.from_numpy(distance)).numpy()
        found.append(tuple(map(torch.from_numpy, (rows[nearest], pixels[:, nearest].T, distance[nearest]))))
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
