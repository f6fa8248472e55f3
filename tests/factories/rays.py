"""Rays of the factory key frame, and what tests ask of them."""

import torch

from ponderv2.datasets import SampleCameraRays
from ponderv2.structures import RayBatch

RANGE = (-54.0, -54.0, -5.0, 54.0, 54.0, 3.0)
FIELDS = ("origins", "directions", "valid", "depth", "pixels")


def draw(results: dict, point_cloud_range: tuple[float, ...] = RANGE, **kwargs) -> RayBatch:
    """Sample rays of the cameras."""
    return SampleCameraRays(point_cloud_range, **kwargs)(results)["rays"]


def equal(a: RayBatch, b: RayBatch) -> bool:
    """Tell whether two sets of rays are the same to the bit, colours left aside."""
    return all(torch.equal(getattr(a, f), getattr(b, f)) for f in FIELDS)


def pixel_rays(rays: RayBatch) -> torch.Tensor:
    """Tell which rays go through pixels without a return."""
    return rays.valid & (rays.depth == 0)


def tiles(rays: RayBatch, tile: int = 16) -> set[tuple[int, int]]:
    """Return the places of the tiles that valid rays go through."""
    cells = torch.floor((rays.pixels[rays.valid] + 0.5) / tile).int()
    return {tuple(cell) for cell in cells.tolist()}
