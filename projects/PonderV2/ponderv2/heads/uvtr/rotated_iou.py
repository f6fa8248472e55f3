"""Overlap of boxes that are rotated about z, pair by pair.

mmcv's `box_iou_rotated`, which its NMS and mmdet3d's overlaps use, returns an IoU as low as 0 for some nearly equal
boxes (open-mmlab/mmcv#2621; 3 % of pairs a micrometre apart). A good prediction would get a low target overlap, and a
duplicate would not be suppressed. The functions here integrate the shared area in closed form without special cases.
"""

import torch
from torch import Tensor

from ponderv2.shapes import Float

# Where y changes by less than this (m) along an edge, the integral is taken at its mean: that is closer than rounding.
_FLAT = 1e-6


@torch.no_grad()
def paired_iou_3d(first: Float[Tensor, "p d"], second: Float[Tensor, "p d"]) -> Float[Tensor, "p"]:
    """Return the intersection over union of box i of `first` with box i of `second`, in [0, 1]; not differentiable.

    Args:
        first: boxes (x, y, z, l, w, h, yaw, ...) with gravity centres, metres and radians; `d` is at least 7.
        second: as many boxes.
    """
    dtype = first.dtype
    first, second = first.double(), second.double()
    bev = [0, 1, 3, 4, 6]
    top = torch.minimum(first[:, 2] + first[:, 5] / 2, second[:, 2] + second[:, 5] / 2)
    bottom = torch.maximum(first[:, 2] - first[:, 5] / 2, second[:, 2] - second[:, 5] / 2)
    shared = shared_area(first[:, bev], second[:, bev]) * (top - bottom).clamp(min=0)
    return _over_union(shared, first[:, 3:6].prod(dim=1), second[:, 3:6].prod(dim=1)).to(dtype)


@torch.no_grad()
def paired_iou_bev(first: Float[Tensor, "p 5"], second: Float[Tensor, "p 5"]) -> Float[Tensor, "p"]:
    """Return the same for boxes seen from above, rectangles (x, y, l, w, yaw) such as mmdet3d's `bev`."""
    dtype = first.dtype
    first, second = first.double(), second.double()
    shared = shared_area(first, second)
    return _over_union(shared, first[:, 2:4].prod(dim=1), second[:, 2:4].prod(dim=1)).to(dtype)


def shared_area(first: Float[Tensor, "p 5"], second: Float[Tensor, "p 5"]) -> Float[Tensor, "p"]:
    """Return the area in square metres that pairs of rectangles (x, y, l, w, yaw) share; arguments should be float64.

    In the frame of `second`, which spans |x| ≤ a and |y| ≤ b there, the area is −∮ clamp(y, −b, b) dx,
    counter-clockwise around the parts of `first` with |x| ≤ a. Each edge has a closed form that is continuous in all
    numbers.
    """
    half_x, half_y = second[:, 2, None] / 2, second[:, 3, None] / 2
    start = _corners(first, second)
    end = start.roll(-1, dims=1)
    run, rise = (end - start).unbind(dim=-1)
    # The part of each edge between x = -a and x = a. An edge along y adds nothing, whichever part of it is taken.
    steep = run.abs() < 1e-12
    safe_run = torch.where(steep, torch.ones_like(run), run)
    x = [torch.maximum(torch.minimum(point[..., 0], half_x), -half_x) for point in (start, end)]
    y = [start[..., 1] + rise * ((at - start[..., 0]) / safe_run).clamp(0, 1) for at in x]
    return -((x[1] - x[0]) * _mean_clamped(y[0], y[1], half_y)).sum(dim=1).clamp(max=0)


def _mean_clamped(
    start: Float[Tensor, "p e"], end: Float[Tensor, "p e"], limit: Float[Tensor, "p 1"]
) -> Float[Tensor, "p e"]:
    """Return the mean of clamp(y, -limit, limit) for y uniform between start and end."""

    def clamped(y: Tensor) -> Tensor:
        return torch.maximum(torch.minimum(y, limit), -limit)

    def integral(y: Tensor) -> Tensor:
        inner = clamped(y)
        return inner**2 / 2 + limit * (y - inner).abs()

    change = end - start
    flat = change.abs() < _FLAT
    quotient = (integral(end) - integral(start)) / torch.where(flat, torch.ones_like(change), change)
    return torch.where(flat, clamped((start + end) / 2), quotient)


def _corners(first: Float[Tensor, "p 5"], second: Float[Tensor, "p 5"]) -> Float[Tensor, "p 4 2"]:
    """Return the corners of `first` in the frame of `second`, counter-clockwise."""
    sine, cosine = second[:, 4].sin(), second[:, 4].cos()
    dx, dy = (first[:, :2] - second[:, :2]).unbind(dim=1)
    center = torch.stack([dx * cosine + dy * sine, dy * cosine - dx * sine], dim=1)
    turn = first[:, 4] - second[:, 4]
    ahead = torch.stack([turn.cos(), turn.sin()], dim=1) * first[:, 2, None] / 2
    left = torch.stack([-turn.sin(), turn.cos()], dim=1) * first[:, 3, None] / 2
    return center[:, None] + torch.stack([ahead + left, left - ahead, -ahead - left, ahead - left], dim=1)


def _over_union(shared: Float[Tensor, "p"], first: Float[Tensor, "p"], second: Float[Tensor, "p"]) -> Tensor:
    return (shared / (first + second - shared).clamp(min=1e-12)).clamp(0, 1)
