"""Selection of points: those of a range, and one of each cell of a grid. Labels and the inverse map go along."""

from collections.abc import Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from ponderv2.errors import UserError
from ponderv2.registry import TRANSFORMS
from ponderv2.shapes import Float, Int

from .inverse_map import keep_points


@TRANSFORMS.register_module()
class LidarRangeFilter(BaseTransform):
    """Leave out points outside of a range, half-open as that of `voxelize`, with their labels.

    Where there is an inverse map, an original point that is left out is predicted as the nearest one that is kept, and
    of a sweep that is all out of range the point nearest to the range is kept.

    Args:
        point_cloud_range: lower x, y, z and upper x, y, z in metres, in the augmented LiDAR frame.

    Raises:
        UserError: the range is none; or, for a sample without an inverse map, no point is left.
    """

    def __init__(self, point_cloud_range: Sequence[float]) -> None:
        self.lower, self.upper = (torch.tensor(point_cloud_range[k : k + 3], dtype=torch.float32) for k in (0, 3))
        if len(point_cloud_range) != 6 or not (self.lower < self.upper).all():
            raise UserError(f"point_cloud_range: expected lower x, y, z, upper x, y, z, got {point_cloud_range}")

    def transform(self, results: dict) -> dict:
        points = results["points"].tensor[:, :3]
        inside = ((points >= self.lower) & (points < self.upper)).all(dim=1).numpy()
        if "inverse_map" in results and len(points) and not inside.any():
            beyond = (points - points.clamp(self.lower, self.upper)).double().norm(dim=1)
            inside[int(beyond.argmin())] = True
        keep_points(results, np.flatnonzero(inside), np.where(inside, np.cumsum(inside) - 1, -1))
        return results


@TRANSFORMS.register_module()
class GridSampling(BaseTransform):
    """Keep one point of each occupied cell of a grid, with its label (published: 0.05 m, Pointcept's SpUNet baseline).

    In training it is a random one, anew at each call. For evaluation, known by the inverse map, it is the one nearest
    to the center of the cell, and the points are sorted by cell: so what is kept does not depend on the order of the
    points. The inverse map leads from every point of a cell to the one that is kept.

    Cells begin at the origin of the augmented LiDAR frame.

    Args:
        cell_size: length of the edges of a cell, metres.

    Raises:
        UserError: the size is not positive.
    """

    def __init__(self, cell_size: float = 0.05) -> None:
        if not cell_size > 0:
            raise UserError(f"cell_size: expected metres above 0, got {cell_size}")
        self.cell_size = float(cell_size)

    def transform(self, results: dict) -> dict:
        points = results["points"].tensor.numpy().astype(np.float64)
        keys, place = grid_cells(points[:, :3], self.cell_size)
        if "inverse_map" in results:
            # What is nearest; what is as near, by its coordinates and features.
            order = np.lexsort((*points.T[::-1], np.abs(place - 0.5).max(axis=1), keys))
        else:
            order = np.random.permutation(len(points))
            order = order[np.argsort(keys[order], kind="stable")]
        first = np.diff(keys[order], prepend=-1) != 0
        stands_for = np.empty(len(points), dtype=np.int64)
        stands_for[order] = np.cumsum(first) - 1
        keep_points(results, order[first], stands_for)
        return results


def grid_cells(
    points: Float[np.ndarray, "p 3"], cell_size: float
) -> tuple[Int[np.ndarray, "p"], Float[np.ndarray, "p 3"]]:
    """Find the cell of each point, in float64.

    Returns:
        A number for each point, at least 0 and equal for points of one cell; and its place in the cell, 0 to 1.
    """
    scaled = points / cell_size
    cells = np.floor(scaled)
    place = scaled - cells
    cells -= cells.min(axis=0, initial=0.0)
    counts = cells.max(axis=0, initial=0.0) + 1
    if counts.prod() >= 2.0**63:
        # One stray point is enough: numbered are the cells that have points, in the same order.
        return np.unique(cells[:, ::-1], axis=0, return_inverse=True)[1].reshape(-1), place
    x, y, z = cells.astype(np.int64).T
    nx, ny, _ = counts.astype(np.int64)
    return (z * ny + y) * nx + x, place
