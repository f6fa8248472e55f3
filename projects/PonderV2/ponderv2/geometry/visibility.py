"""Which LiDAR returns a sensor sees: the nearest ones."""

import numpy as np
import torch
from torch import Tensor

from ponderv2.shapes import Float, Int
from ponderv2.structures import CameraRig

from .projection import MIN_DEPTH, project


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
    # Most cells have one point: sorting by cell alone and then looking at the cells is faster than sorting by both.
    order = np.argsort(cell.numpy(), kind="stable")
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
    # Of each coordinate the values of all points are a plane in memory: comparing planes is much faster than rows. All
    # cameras go together, because calls of few points take longer than what they compute.
    pixels, depth = project(points.T.contiguous().T.expand(rig.num_cameras, -1, -1), rig.lidar2img)
    column, row = torch.floor(pixels + 0.5).unbind(-1)
    height, width = rig.image_size[:, None, 0], rig.image_size[:, None, 1]
    inside = (depth > MIN_DEPTH) & (column >= 0) & (row >= 0) & (column < width) & (row < height)
    camera, seen = inside.nonzero().unbind(1)
    distance = (points[seen] - rig.origins[camera]).norm(dim=-1)
    widest = int(rig.image_size[:, 1].max())
    rows_above = camera * int(rig.image_size[:, 0].max()) + row[camera, seen].long()
    nearest = nearest_per_cell(rows_above * widest + column[camera, seen].long(), distance)
    camera, seen, distance = camera[nearest], seen[nearest], distance[nearest]
    counts = torch.bincount(camera, minlength=rig.num_cameras).tolist()
    return tuple(list(found.split(counts)) for found in (seen, pixels[camera, seen], distance))
