"""LiDAR returns that rays can be rendered to."""

from torch import Tensor

from ponderv2.shapes import Float
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

    def __call__(self, results: dict) -> Float[Tensor, "p 3"]:
        """Return the points (x, y, z) in metres, augmented LiDAR frame, float64."""
        returns = results["points"].tensor
        points = returns[returns[:, 4] <= self.max_lag, :3].double()
        radius = points[:, :2].norm(dim=1)
        return points[self.volume.contains(points) & (radius > self.low) & (radius < self.high)]
