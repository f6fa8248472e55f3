"""Colliders: they choose the part of a ray, from a near to a far end, in which samples are placed."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ponderv2.shapes import Bool, Float
from ponderv2.structures import constant


@dataclass(frozen=True)
class BoxCollider:
    """Keeps the part of a ray that lies in the axis-aligned box of the scene (slab test).

    Attributes:
        near: smallest distance of a sample, metres; published 1.
    """

    near: float = 1.0

    def __call__(
        self,
        origins: Float[Tensor, "*r 3"],
        directions: Float[Tensor, "*r 3"],
        point_cloud_range: tuple[float, ...],
    ) -> tuple[Float[Tensor, "*r"], Float[Tensor, "*r"], Bool[Tensor, "*r"]]:
        """Compute the near and far ends of rays in metres, and which rays hit the box.

        A ray that misses gets the unit interval from `near` on, so that it can be computed and then masked.
        """
        lower = constant(point_cloud_range[:3], origins.device, origins.dtype)
        upper = constant(point_cloud_range[3:], origins.device, origins.dtype)
        # A direction component of zero would make 0 · inf; a tiny one of the same sign means the same ray.
        tiny = torch.where(directions < 0, -1e-9, 1e-9).to(directions.dtype)
        inverse = 1.0 / torch.where(directions.abs() < 1e-9, tiny, directions)
        one, two = (lower - origins) * inverse, (upper - origins) * inverse
        near = torch.minimum(one, two).amax(dim=-1).clamp(min=self.near)
        far = torch.maximum(one, two).amin(dim=-1)
        hit = far > near
        default = torch.full_like(near, self.near)
        return torch.where(hit, near, default), torch.where(hit, far, default + 1.0), hit


@dataclass(frozen=True)
class NearFarCollider:
    """Keeps the same part of every ray, wherever the box is.

    Attributes:
        near: distance at which a ray begins, metres.
        far: distance at which it ends, metres.

    Raises:
        ValueError: when `near` is negative or not below `far`.
    """

    near: float = 1.0
    far: float = 60.0

    def __post_init__(self) -> None:
        if not 0 <= self.near < self.far:
            raise ValueError(f"NearFarCollider: expected 0 <= near < far, got near={self.near}, far={self.far}")

    def __call__(
        self,
        origins: Float[Tensor, "*r 3"],
        directions: Float[Tensor, "*r 3"],
        point_cloud_range: tuple[float, ...],
    ) -> tuple[Float[Tensor, "*r"], Float[Tensor, "*r"], Bool[Tensor, "*r"]]:
        """Return the near and far ends in metres; every ray counts as a hit, and the range is not used."""
        near = torch.full_like(origins[..., 0], self.near)
        return near, torch.full_like(near, self.far), torch.ones_like(near, dtype=torch.bool)
