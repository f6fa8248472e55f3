"""The one thing between encoder and head."""

from dataclasses import dataclass, field

from torch import Tensor

from ponderv2.shapes import Float

from .voxel_grid import VoxelGrid


@dataclass(frozen=True)
class FeatureVolume:
    """Features of every cell of a grid.

    Attributes:
        data: `[B, C, Z, Y, X]`, a value a cell (see `VoxelGrid` for where it sits).
        grid: the cells.
        losses: what the encoder itself is trained with, by name, such as the supervision of depths; a model adds
            them to those of its head.

    Raises:
        ValueError: when the last three sizes of `data` are not those of the grid.
    """

    data: Float[Tensor, "b c z y x"]
    grid: VoxelGrid
    losses: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if tuple(self.data.shape[2:]) != self.grid.shape:
            raise ValueError(
                f"volume of shape {tuple(self.data.shape)} on a grid of (z, y, x) = {self.grid.shape} cells"
            )

    def with_data(self, data: Float[Tensor, "b c2 z y x"]) -> "FeatureVolume":
        """The same grid and losses with other features."""
        return FeatureVolume(data, self.grid, self.losses)
