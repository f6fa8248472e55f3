"""Rays, and what the sensors have measured along them."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ponderv2.shapes import Bool, Float, Int


@dataclass(frozen=True)
class RayBatch:
    """R rays for each of N cameras, of one sample or (leading axis) of a batch; or Q rays of no particular camera.

    The number of rays is fixed; what a camera lacks is filled with rays whose `valid` is false. Lengths are
    metres of the augmented LiDAR frame, measured from the origin along the ray.

    Attributes:
        origins: start points of the rays; for camera rays the camera's centre.
        directions: unit vectors.
        valid: mask of the rays that count.
        depth: Euclidean distance to the LiDAR return on the ray; 0 where there is none.
        pixels: pixel (u, v) of the augmented image through which a ray runs.
        rgb: colour of the pixel, RGB in [0, 1]; None when no loss needs colour and no image was decoded.
        semantic: class of the LiDAR return that gave the ray its depth, int64, -1 where it is not known; None when no
            labels were loaded.
        intensity: square root of the intensity in [0, 1] of the LiDAR return that gave the ray its depth, 0 where there
            is none; None when no loss needs it.
    """

    origins: Float[Tensor, "*n r 3"]
    directions: Float[Tensor, "*n r 3"]
    valid: Bool[Tensor, "*n r"]
    depth: Float[Tensor, "*n r"]
    pixels: Float[Tensor, "*n r 2"]
    rgb: Float[Tensor, "*n r 3"] | None = None
    semantic: Int[Tensor, "*n r"] | None = None
    intensity: Float[Tensor, "*n r"] | None = None

    @property
    def has_depth(self) -> Bool[Tensor, "*n r"]:
        """Mask of the valid rays on which there is a LiDAR return."""
        return self.valid & (self.depth > 0)

    @staticmethod
    def stack(batches: "list[RayBatch]") -> "RayBatch":
        """Stack the rays of samples to those of a batch.

        Raises:
            ValueError: when some samples have colours, classes or intensities, and others have none.
        """
        for name, words in (("rgb", "ray colours"), ("semantic", "classes of rays"), ("intensity", "intensities")):
            if len({getattr(b, name) is not None for b in batches}) > 1:
                raise ValueError(f"samples of one batch must all have {words}, or none")
        return RayBatch(**{f: torch.stack([getattr(b, f) for b in batches]) for f in _present(batches[0])})

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "RayBatch":
        """Copy the rays to a device; the host does not wait for the copies if `non_blocking`."""
        return RayBatch(**{f: getattr(self, f).to(device, non_blocking=non_blocking) for f in _present(self)})

    def pin_memory(self) -> "RayBatch":
        """Copy the rays to page-locked memory, from which a GPU fetches by itself; a data loader asks for it."""
        return RayBatch(**{f: getattr(self, f).pin_memory() for f in _present(self)})

    def flatten_cameras(self) -> "RayBatch":
        """Put the rays of all cameras of a sample into one row: `[B, N, R]` becomes `[B, N * R]`."""
        return RayBatch(**{f: getattr(self, f).flatten(1, 2) for f in _present(self)})

    def split(self, size: int) -> "list[RayBatch]":
        """Split the rays of each camera into parts of at most `size`, to render them in bounded memory."""
        count = self.valid.shape[-1]
        axis = self.valid.ndim - 1
        return [
            RayBatch(**{f: getattr(self, f).narrow(axis, s, min(size, count - s)) for f in _present(self)})
            for s in range(0, count, size)
        ]


def _present(rays: RayBatch) -> list[str]:
    return [f.name for f in fields(rays) if getattr(rays, f.name) is not None]
