"""LiDAR returns that rays can be rendered to, their classes and intensities."""

import numpy as np
import torch
from torch import Tensor

from ponderv2.datasets.lidarseg_classes import IGNORE_LABEL
from ponderv2.errors import UserError
from ponderv2.shapes import Float, Int
from ponderv2.structures import VoxelGrid


class RenderableReturns:
    """The returns of a sample that are inside the volume, in a ring around the LiDAR, and recent.

    Args:
        point_cloud_range: (x_min, y_min, z_min, x_max, y_max, z_max) of the volume in metres; returns outside of it
            cannot be rendered.
        radius: (low, high) of the horizontal distance of returns from the LiDAR in metres, both exclusive.
        max_lag: largest age of a return in seconds.
    """

    def __init__(self, point_cloud_range: tuple[float, ...], radius: tuple[float, float], max_lag: float) -> None:
        # Of the grid only its range counts.
        self.volume = VoxelGrid(point_cloud_range, size=(1, 1, 1))
        self.low, self.high = radius
        self.max_lag = max_lag

    def __call__(self, results: dict) -> tuple[Float[Tensor, "p 3"], Int[Tensor, "p"]]:
        """Return the points (x, y, z) in metres, augmented LiDAR frame, float64, and their rows in `points`."""
        returns = results["points"].tensor.numpy()
        # Compared by coordinate, in planes: much faster than by rows of three.
        x, y, z = planes = np.ascontiguousarray(returns[:, :3].T, dtype=np.float64)
        radius = np.sqrt(x * x + y * y)
        usable = (radius > self.low) & (radius < self.high) & (returns[:, 4] <= self.max_lag)
        for values, low, high in zip((x, y, z), self.volume.lower, self.volume.upper, strict=True):
            usable &= (values >= low) & (values < high)
        rows = np.flatnonzero(usable)
        return torch.from_numpy(planes.take(rows, axis=1)).T, torch.from_numpy(rows)


def classes_of_returns(results: dict) -> Int[Tensor, "p"]:
    """Return the class of each row of `points`, `IGNORE_LABEL` where it is not known.

    Raises:
        UserError: the sample has no labels, or of another number of points.
    """
    where = results.get("info_name", "sample")
    if "pts_semantic_mask" not in results:
        raise UserError(
            f"{where}: semantic=True, but no labels of points were loaded; put LoadPointLabels right after "
            "LoadLidarSweeps, in the pipeline of a PonderNuScenesSegDataset"
        )
    labels = torch.from_numpy(results["pts_semantic_mask"])
    if len(labels) != len(results["points"]):
        raise UserError(
            f"{where}: {len(labels)} labels of {len(results['points'])} points; a transform that adds or leaves out "
            "points does not keep pts_semantic_mask"
        )
    return labels


def classes_of_rays(labels: Int[Tensor, "p"], rows: Int[Tensor, "n"], count: int) -> Int[Tensor, "r"]:
    """Return the classes of `count` rays, of which the first go to the returns in `rows` and the others to none."""
    return torch.cat([labels[rows], labels.new_full((count - len(rows),), IGNORE_LABEL)])


def intensities_of_rays(results: dict, rows: Int[Tensor, "n"], count: int) -> Float[Tensor, "r"]:
    """Return the intensities of `count` rays, of which the first go to the returns in `rows` of `points`.

    They are square roots of intensities in [0, 1], which nuScenes counts from 0 to 255. Most are below a tenth, where
    the root has more to tell one ground from another: asphalt and pavement with 0.02 and 0.06 of the whole are 0.14 and
    0.24 then. Rays to no return have 0.
    """
    intensities = (results["points"].tensor[rows, 3].float() / 255).sqrt()
    return torch.cat([intensities, intensities.new_zeros(count - len(rows))])
