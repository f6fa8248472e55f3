"""Where the cells of a feature map lie in the image, which is where lifts and points read them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ponderv2.shapes import Float

from .camera_rig import CameraRig
from .voxel_grid import VoxelGrid


@dataclass(frozen=True)
class MapCells:
    """The places of a map's cells in its image, along both axes alike.

    Cells that tile the image from its first pixel on, as those of ConvNeXt do, are centered on pixels
    `(k + 0.5) * stride - 0.5`. Convolutions with odd kernels look at `k * stride` instead: their cells lie before the
    tiles, by up to half a stride.

    Attributes:
        stride: width of a cell, pixels.
        lead: distance, in pixels, by which a cell's center lies before that of its tile.
        spread: None to read cells where they are. With the published placement it is the (height, width) of the padded
            image, from end to end of which the centers of the outermost cells are spread (`align_corners=True`).
    """

    stride: int
    lead: float = 0.0
    spread: tuple[int, int] | None = None

    def index(self, pixels: Float[Tensor, "*p 2"], size: tuple[int, int]) -> Float[Tensor, "*p 2"]:
        """Convert pixels (u, v) to continuous cell indices (column, row) of a map of (height, width) cells."""
        if self.spread is None:
            return (pixels + (0.5 + self.lead)) / self.stride - 0.5
        (height, width), (rows, columns) = self.spread, size
        # Numbers instead of small tensors, which a GPU would wait for.
        u, v = pixels.unbind(dim=-1)
        return torch.stack([u * ((columns - 1) / width), v * ((rows - 1) / height)], dim=-1)

    def normalized(self, pixels: Float[Tensor, "*p 2"], size: tuple[int, int]) -> Float[Tensor, "*p 2"]:
        """Convert pixels (u, v) to the places at which `F.grid_sample(align_corners=False)` reads a map of that size.

        The map may be larger than the image, by a part of a cell.
        """
        rows, columns = size
        if self.spread is None:
            u, v = (2 * (pixels + (0.5 + self.lead))).unbind(dim=-1)
            return torch.stack([u / (columns * self.stride) - 1, v / (rows * self.stride) - 1], dim=-1)
        u, v = (2 * self.index(pixels, size) + 1).unbind(dim=-1)
        return torch.stack([u / columns - 1, v / rows - 1], dim=-1)


def lead_of(stride: int, offset: float | None) -> float:
    """Compute the `lead` of a map whose first cell is centered on pixel `offset`; None is the center of its tile."""
    return 0.0 if offset is None else (stride - 1) / 2 - offset


def cells_of_levels(
    strides: tuple[int, ...], offsets: tuple[float, ...] | None, rig: CameraRig, grid: VoxelGrid
) -> list[MapCells]:
    """Find the places of the cells of each level, for the placement of the grid.

    Args:
        strides: width of a cell of each level, pixels.
        offsets: pixel on which the first cell of each level is centered, along both axes; None for levels that tile the
            image.
        rig: cameras of the batch.
        grid: cells that are filled.
    """
    spread = tuple(rig.padded_size) if grid.published else None
    starts = offsets or [None] * len(strides)
    return [MapCells(s, lead_of(s, o), spread) for s, o in zip(strides, starts, strict=True)]
