"""Rays of the LiDAR as targets of rendering, where there are no cameras."""

import math

import torch
from mmcv.transforms import BaseTransform
from torch import Tensor

from ponderv2.geometry import nearest_per_cell
from ponderv2.registry import TRANSFORMS
from ponderv2.shapes import Float, Int
from ponderv2.structures import RayBatch

from .ray_holdout import RaySplit
from .renderable_returns import RenderableReturns, classes_of_rays, classes_of_returns, intensities_of_rays
from .sample_generator import sample_generator

_PANORAMA = (1800, 900)
"""Columns and rows of the LiDAR's panorama: 0.2°, finer than a spinning LiDAR's steps."""


@TRANSFORMS.register_module()
class SampleLidarRays(BaseTransform):
    """Draw a fixed number of rays from the LiDAR to its returns, as if from one camera that sees all around.

    The picture of that camera is a panorama of 0.2° cells: it takes the place of an image for the z-buffer, which
    keeps the nearest return of a cell, and for the held-out tiles. Returns of earlier sweeps are seen from where the
    LiDAR is at the key frame. Where there are too few returns, rays are marked invalid. The transform adds `rays`, of
    shape `[1, R]` and without colours, and no `rig`.

    Args:
        point_cloud_range: (x_min, y_min, z_min, x_max, y_max, z_max) of the volume in metres; returns outside of it
            cannot be rendered.
        num_rays: number R of rays of a sample.
        radius: (low, high) of the horizontal distance of returns from the LiDAR in metres.
        max_lag: largest age of a return in seconds; 0 takes those of the key frame alone.
        holdout: arguments of `RayHoldout`, the tiles of the panorama that training does not see; None holds nothing
            out.
        split: "train" takes returns that are not held out, "heldout" those that are, "all" takes both.
        seed: a number makes the choice depend on it and the sample alone; None draws from numpy's global generator,
            see `sample_generator`.
        semantic: whether rays have the classes of their returns, which needs `LoadPointLabels`.
        intensity: whether rays have the intensities of their returns.

    Raises:
        ValueError: on contradictory arguments.
        UserError: for a sample without labels, where rays are to have classes.
    """

    def __init__(
        self,
        point_cloud_range: tuple[float, ...],
        num_rays: int = 512,
        radius: tuple[float, float] = (3.0, 100.0),
        max_lag: float = math.inf,
        holdout: dict | None = None,
        split: str = "train",
        seed: int | None = None,
        semantic: bool = False,
        intensity: bool = False,
    ) -> None:
        self.returns = RenderableReturns(point_cloud_range, radius, max_lag)
        self.num_rays = num_rays
        self.split = RaySplit(split, holdout)
        self.seed = seed
        self.semantic = semantic
        self.intensity = intensity

    def transform(self, results: dict) -> dict:
        rng = sample_generator(self.seed, results)
        center = torch.from_numpy(results["lidar_aug"][:3, 3])
        points, rows = self.returns(results)
        nearest, *seen = rows_in_panorama(points - center)
        usable = self.split.contains(seen[0])
        pixels, distance, directions = (values[usable] for values in seen)
        picked = torch.from_numpy(rng.permutation(len(distance))[: self.num_rays])
        missing = self.num_rays - len(picked)
        # What is missing looks ahead, so that it can be computed and then ignored.
        ahead = directions.new_tensor([0.0, 1.0, 0.0]).expand(missing, 3)
        directions = torch.cat([directions[picked], ahead])
        semantic = intensity = None
        picked_rows = rows[nearest][usable][picked]
        if self.intensity:
            intensity = intensities_of_rays(results, picked_rows, self.num_rays)[None]
        if self.semantic:
            semantic = classes_of_rays(classes_of_returns(results), picked_rows, self.num_rays)[None]
        results["rays"] = RayBatch(
            origins=center.expand_as(directions)[None].float(),
            directions=directions[None].float(),
            valid=(torch.arange(self.num_rays) < len(picked))[None],
            depth=torch.cat([distance[picked], distance.new_zeros(missing)])[None].float(),
            pixels=torch.cat([pixels[picked], pixels.new_zeros(missing, 2)])[None].float(),
            semantic=semantic,
            intensity=intensity,
        )
        return results


def nearest_in_panorama(
    rays: Float[Tensor, "p 3"],
) -> tuple[Float[Tensor, "q 2"], Float[Tensor, "q"], Float[Tensor, "q 3"]]:
    """Keep the nearest return in each cell of the panorama around the LiDAR.

    Args:
        rays: vectors from the LiDAR to the returns, metres.

    Returns:
        Pixels (u, v) with integers at the centres of cells, u counter-clockwise from -x and v downwards; distances
        in metres; unit directions.
    """
    _, pixels, distance, directions = rows_in_panorama(rays)
    return pixels, distance, directions


def rows_in_panorama(
    rays: Float[Tensor, "p 3"],
) -> tuple[Int[Tensor, "q"], Float[Tensor, "q 2"], Float[Tensor, "q"], Float[Tensor, "q 3"]]:
    """Find the nearest return in each cell of the panorama: its row in `rays`, and what `nearest_in_panorama` gives."""
    distance = rays.norm(dim=1)
    directions = rays / distance[:, None].clamp(min=1e-9)
    columns, rows = _PANORAMA
    u = (torch.atan2(rays[:, 1], rays[:, 0]) / (2 * math.pi) + 0.5) * columns - 0.5
    v = (0.5 - torch.asin(directions[:, 2].clamp(-1, 1)) / math.pi) * rows - 0.5
    cell = torch.floor(v + 0.5).long() * columns + torch.floor(u + 0.5).long() % columns
    nearest = nearest_per_cell(cell, distance)
    return nearest, torch.stack([u, v], dim=1)[nearest], distance[nearest], directions[nearest]
