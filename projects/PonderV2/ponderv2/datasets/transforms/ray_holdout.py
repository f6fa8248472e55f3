"""Pixels that are held out from training, to be rendered in evaluation alone."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ponderv2.shapes import Bool, Float


@dataclass(frozen=True)
class RayHoldout:
    """Tiles of the picture that training never sees.

    The picture is cut into square tiles, and a hash of its place decides whether a tile is held out. So the choice is
    the same in every picture, and the tiles of a smaller share are among those of a larger one.

    Attributes:
        share: share of the tiles that are held out, in (0, 1).
        tile: edge of a tile in pixels of the original image, so that augmentation does not mix the splits.

    Raises:
        ValueError: the share is not in (0, 1), or the tile is smaller than a pixel.
    """

    share: float
    tile: int = 16

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"holdout.share: expected a share in (0, 1), got {self.share}; without a holdout, None")
        if self.tile < 1:
            raise ValueError(f"holdout.tile: expected at least 1 pixel, got {self.tile}")

    def contains(self, pixels: Float[Tensor, "*p 2"]) -> Bool[Tensor, "*p"]:
        """Tell which pixels (u, v) of the original image lie in held-out tiles."""
        place = torch.div(torch.floor(pixels + 0.5), self.tile, rounding_mode="floor").long()
        mixed = (place[..., 0] * 73856093) ^ (place[..., 1] * 19349663)
        mixed = (mixed ^ (mixed >> 13)) * 1274126177
        return ((mixed ^ (mixed >> 16)) & 0xFFFF).double() / 0x10000 < self.share


class RaySplit:
    """The part of the pixels that rays may use.

    Args:
        name: "train" for what is not held out, "heldout" for what is, "all" for both.
        holdout: arguments of `RayHoldout`; None holds nothing out.

    Raises:
        ValueError: the name is unknown, or asks for held-out pixels where there are none.
    """

    def __init__(self, name: str, holdout: dict | None) -> None:
        if name not in ("train", "heldout", "all"):
            raise ValueError(f"split: expected 'train', 'heldout' or 'all', got {name!r}")
        if name == "heldout" and holdout is None:
            raise ValueError("split 'heldout' needs a holdout, such as holdout=dict(share=0.1, tile=16)")
        self.name = name
        self.holdout = None if holdout is None else RayHoldout(**holdout)

    @property
    def share(self) -> float:
        """The share of the pixels that the split has, on average over all tiles."""
        if self.holdout is None or self.name == "all":
            return 1.0
        return self.holdout.share if self.name == "heldout" else 1 - self.holdout.share

    def contains(self, pixels: Float[Tensor, "*p 2"]) -> Bool[Tensor, "*p"]:
        """Tell which pixels (u, v) of the original image are in the split."""
        if self.holdout is None or self.name == "all":
            return torch.ones(pixels.shape[:-1], dtype=torch.bool)
        held_out = self.holdout.contains(pixels)
        return held_out if self.name == "heldout" else ~held_out
