"""The one thing between encoder and head."""

from dataclasses import dataclass

from torch import Tensor

from ponderv2.shapes import Float

from .voxel_grid import VoxelGrid


@dataclass(frozen=True)
class FeatureVolume:
    """Features of every cell of a grid.

    Attributes:
        data: `[B, C, Z, Y, X]`, a value a cell (see `VoxelGrid` for where it sits).
        grid: the cells.

    Raises:
        ValueError: when the last three sizes of `data` are not those of the grid.
    """

    data: Float[Tensor, "b c z y x"]
    grid: VoxelGrid

    def __post_init__(self) -> None:
        if tuple(self.data.shape[2:]) != self.grid.shape:
            raise ValueError(
                f"volume of shape {tuple(self.data.shape)} on a grid of (z, y, x) = {self.grid.shape} cells"
            )

    def with_data(self, data: Float[Tensor, "b c2 z y x"]) -> "FeatureVolume":
        """The same grid with other features."""
        return FeatureVolume(data, self.grid)
