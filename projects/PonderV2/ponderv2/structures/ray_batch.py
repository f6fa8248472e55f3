"""Rays with what they should see."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ponderv2.shapes import Bool, Float


@dataclass(frozen=True)
class RayBatch:
    """R rays for each of N cameras, of one sample or (leading axis) of a batch.

    The number of rays is fixed; what a camera lacks is filled with rays whose `valid` is false. Lengths are
    metres of the augmented LiDAR frame, measured from the camera centre along the ray.

    Attributes:
        origins: start points.
        directions: unit vectors.
        valid: rays that count.
        depth: Euclidean distance to the LiDAR return on the ray; 0 where there is none.
        rgb: colour of the pixel, RGB in [0, 1]; None when no loss needs colour and no image was decoded.
        pixels: (u, v) on the augmented image.
    """

    origins: Float[Tensor, "*b n r 3"]
    directions: Float[Tensor, "*b n r 3"]
    valid: Bool[Tensor, "*b n r"]
    depth: Float[Tensor, "*b n r"]
    pixels: Float[Tensor, "*b n r 2"]
    rgb: Float[Tensor, "*b n r 3"] | None = None

    @property
    def has_depth(self) -> Bool[Tensor, "*b n r"]:
        """Valid rays with a LiDAR return."""
        return self.valid & (self.depth > 0)

    @staticmethod
    def stack(batches: "list[RayBatch]") -> "RayBatch":
        """A batch of samples; all with colour or all without."""
        with_rgb = {b.rgb is not None for b in batches}
        if len(with_rgb) > 1:
            raise ValueError("samples of one batch must all have ray colours, or none")
        return RayBatch(**{f: torch.stack([getattr(b, f) for b in batches]) for f in _present(batches[0])})

    def to(self, device: torch.device | str) -> "RayBatch":
        """The same rays elsewhere."""
        return RayBatch(**{f: getattr(self, f).to(device) for f in _present(self)})

    def split(self, size: int) -> "list[RayBatch]":
        """Pieces of at most `size` rays a camera, for rendering in bounded memory."""
        count = self.valid.shape[-1]
        axis = self.valid.ndim - 1
        return [
            RayBatch(**{f: getattr(self, f).narrow(axis, s, min(size, count - s)) for f in _present(self)})
            for s in range(0, count, size)
        ]


def _present(rays: RayBatch) -> list[str]:
    return [f.name for f in fields(rays) if getattr(rays, f.name) is not None]
