"""The regular grid of cells around the ego car, in which every volume stores its values."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ponderv2.shapes import Bool, Float, Int

from .constant_tensors import constant

PLACEMENTS = ("centered", "published")
"""The values of every setting `placement`."""


@dataclass(frozen=True)
class VoxelGrid:
    """A box of the LiDAR frame that is cut into equal cells.

    Cell `k` of an axis spans `[k, k + 1) * voxel_size` from the lower end of the range, and what a volume
    stores for it belongs to its centre. Lift, sparse encoder, renderer and heads all place their values
    through this class, so they agree.

    Attributes:
        point_cloud_range: (x_min, y_min, z_min, x_max, y_max, z_max) in metres.
        size: number of cells (nx, ny, nz).
        placement: places of values, in cells and in the images that lifts read. "centered" puts all of them at centers.
            "published" is for converted weights of UniPAD and UVTR, whose parts disagree: lifts fill the lower corner
            of a cell and read images by their padded size, the renderer spreads the cells from end to end of the range
            (`align_corners=True`), and the detection head reads at the centers of cells.
    """

    point_cloud_range: Sequence[float | int]
    size: Sequence[int]
    placement: str = "centered"

    def __post_init__(self) -> None:
        # Configs hand over lists, and whole numbers among the metres; kept are tuples.
        object.__setattr__(self, "point_cloud_range", tuple(float(v) for v in self.point_cloud_range))
        object.__setattr__(self, "size", tuple(int(v) for v in self.size))
        if len(self.point_cloud_range) != 6:
            raise ValueError(
                f"point_cloud_range: expected 6 numbers (x, y, z min, then max), got {self.point_cloud_range}"
            )
        if len(self.size) != 3 or min(self.size) < 1:
            raise ValueError(f"size: expected 3 positive cell counts (nx, ny, nz), got {self.size}")
        if any(low >= high for low, high in zip(self.lower, self.upper, strict=True)):
            raise ValueError(
                f"point_cloud_range: every minimum must be below its maximum, got {self.point_cloud_range}"
            )
        if self.placement not in PLACEMENTS:
            raise ValueError(f"placement: expected {' or '.join(map(repr, PLACEMENTS))}, got {self.placement!r}")

    @property
    def lower(self) -> tuple[float, float, float]:
        """The lower corner of the box (x, y, z), metres."""
        return self.point_cloud_range[:3]

    @property
    def upper(self) -> tuple[float, float, float]:
        """The upper corner of the box (x, y, z), metres."""
        return self.point_cloud_range[3:]

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        """The edge lengths of a cell (x, y, z), metres."""
        return tuple((hi - lo) / n for lo, hi, n in zip(self.lower, self.upper, self.size, strict=True))

    @property
    def shape(self) -> tuple[int, int, int]:
        """The numbers of cells in the memory order of a volume: (nz, ny, nx)."""
        return self.size[::-1]

    @property
    def scene_scale(self) -> float:
        """The factor from metres to the renderer's scene units: 1 / the largest absolute coordinate of the range."""
        return 1.0 / max(abs(v) for v in self.point_cloud_range)

    @property
    def published(self) -> bool:
        """Whether values are where the published code puts them."""
        return self.placement == "published"

    def centers(
        self, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "z y x 3"]:
        """Compute the place (x, y, z) in metres for which a lift fills each cell: its center, or its lower corner."""
        offset = 0.0 if self.published else 0.5
        axes = [
            lo + (torch.arange(n, device=device, dtype=dtype) + offset) * step
            for lo, n, step in zip(self.lower, self.size, self.voxel_size, strict=True)
        ]
        z, y, x = torch.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
        return torch.stack([x, y, z], dim=-1)

    def index_map(
        self, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
    ) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"]]:
        """Compute `scale, shift` of `index = point * scale + shift`, from metres to continuous cell indices (x, y, z).

        Index `k` is where the renderer reads cell `k`'s value, so `k + 0.5` lies half-way to its neighbour. With the
        published placement it is another place than that of `centers`.
        """
        lower, upper = constant(self.lower, device, dtype), constant(self.upper, device, dtype)
        count = constant(self.size, device, dtype)
        if self.published:
            scale = (count - 1) / (upper - lower)
            return scale, -lower * scale
        scale = count / (upper - lower)
        return scale, -lower * scale - 0.5

    def to_index(self, points: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
        """Convert points in metres to the continuous cell indices (x, y, z) of the renderer, see `index_map`."""
        scale, shift = self.index_map(points.device, points.dtype)
        return points * scale + shift

    def to_center_index(self, points: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
        """Convert points in metres to the continuous cell indices (x, y, z) of the detection head.

        Index `k` is the center of cell `k` with either placement.
        """
        return (replace(self, placement="centered") if self.published else self).to_index(points)

    def to_fraction(self, points: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
        """Convert points (x, y, z) in metres to fractions of the range, which are not in [0, 1] for points outside."""
        lower, upper = self._bounds(points)
        return (points - lower) / (upper - lower)

    def from_fraction(self, fraction: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
        """Convert fractions (x, y, z) of the range to metres: 0 is the lower end of an axis, 1 the upper end."""
        lower, upper = self._bounds(fraction)
        return lower + fraction * (upper - lower)

    def cell_of(self, points: Float[Tensor, "*n 3"]) -> tuple[Int[Tensor, "*n 3"], Bool[Tensor, "*n"]]:
        """Find the cell in which each point (metres) lies.

        Indices are rounded down, never cut off: cutting would put points just below the range into the first cells.
        They are computed in the precision of the points.

        Returns:
            Cell indices (x, y, z), int64 and 0 for points outside the grid; and which points are inside.
        """
        lower, upper = self._bounds(points)
        count = constant(self.size, points.device, points.dtype)
        index = torch.floor((points - lower) * (count / (upper - lower)))
        inside = ((index >= 0) & (index < count)).all(dim=-1)
        return index.where(inside[..., None], 0).long(), inside

    def place_in_cell(
        self, points: Float[Tensor, "*n 3"]
    ) -> tuple[Int[Tensor, "*n 3"], Bool[Tensor, "*n"], Float[Tensor, "*n 3"]]:
        """Find the cell in which each point (metres) lies, and where in it.

        Returns:
            Cells and which points are inside, as `cell_of` does; and the offset (x, y, z) of each point from the center
            of its cell, in cells: -0.5 to 0.5, and 0 outside the grid.
        """
        cell, inside = self.cell_of(points)
        size = constant(self.voxel_size, points.device, points.dtype)
        offset = (points - self._bounds(points)[0]) / size - cell - 0.5
        return cell, inside, torch.where(inside[..., None], offset, 0.0)

    def contains(self, points: Float[Tensor, "*n 3"]) -> Bool[Tensor, "*n"]:
        """Tell which points (metres) lie in the half-open box `[lower, upper)`."""
        lower, upper = self._bounds(points)
        return ((points >= lower) & (points < upper)).all(dim=-1)

    def _bounds(self, points: Float[Tensor, "*n 3"]) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"]]:
        """Return the lower and the upper corner of the box in the type and on the device of points."""
        return tuple(constant(corner, points.device, points.dtype) for corner in (self.lower, self.upper))
