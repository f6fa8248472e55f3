"""The features that an encoder computes and a head reads."""

from dataclasses import dataclass

from torch import Tensor

from ponderv2.shapes import Float

from .voxel_grid import VoxelGrid


@dataclass(frozen=True)
class FeatureVolume:
    """A feature vector for every cell of a grid.

    Attributes:
        data: features, `[B, C, Z, Y, X]`; `VoxelGrid` says to which place in a cell they belong.
        grid: the cells.

    Raises:
        ValueError: when the last three sizes of `data` are not those of the grid.
    """

    data: Float[Tensor, "b c z y x"]
    grid: VoxelGrid

    def __post_init__(self) -> None:
        if tuple(self.data.shape[2:]) != self.grid.shape:
            raise ValueError(
                f"FeatureVolume: a volume of shape {tuple(self.data.shape)} does not fit a grid of "
                f"(z, y, x) = {self.grid.shape} cells"
            )

    def with_data(self, data: Float[Tensor, "b c2 z y x"]) -> "FeatureVolume":
        """Make a volume of other features on the same grid."""
        return FeatureVolume(data, self.grid)
