"""Rays of the made-up key frame, and what tests ask of them."""

import torch

from ponderv2.datasets import SampleRays
from ponderv2.structures import RayBatch

RANGE = (-54.0, -54.0, -5.0, 54.0, 54.0, 3.0)
FIELDS = ("origins", "directions", "valid", "depth", "pixels")


def draw(results: dict, point_cloud_range: tuple[float, ...] = RANGE, **kwargs) -> RayBatch:
    return SampleRays(point_cloud_range, **kwargs)(results)["rays"]


def equal(a: RayBatch, b: RayBatch) -> bool:
    return all(torch.equal(getattr(a, f), getattr(b, f)) for f in FIELDS)


def pixel_rays(rays: RayBatch) -> torch.Tensor:
    return rays.valid & (rays.depth == 0)


def tiles(rays: RayBatch, tile: int = 16) -> set[tuple[int, int]]:
    cells = torch.floor((rays.pixels[rays.valid] + 0.5) / tile).int()
    return {tuple(cell) for cell in cells.tolist()}
