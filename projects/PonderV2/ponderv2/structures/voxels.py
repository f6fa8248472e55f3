"""The occupied cells of a grid, and which of them a point lies in."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ponderv2.shapes import Bool, Float, Int

from .voxel_grid import VoxelGrid


@dataclass(frozen=True)
class PointPlaces:
    """Where the points of a batch lie among its voxels; samples follow one another.

    Attributes:
        rows: row of the voxel of each point, 0 where there is none.
        found: whether there is such a voxel; there is none for points outside the range, or in a cell that is left out.
        offsets: (x, y, z) of each point from the centre of its cell, in cells: -0.5 to 0.5, and 0 outside the range.
    """

    rows: Int[Tensor, "p"]
    found: Bool[Tensor, "p"]
    offsets: Float[Tensor, "p 3"]


@dataclass(frozen=True)
class Voxels:
    """The occupied cells of a batch, sorted by sample, then z, y, x.

    Attributes:
        features: features of each voxel.
        coordinates: (sample, z, y, x) of each voxel, int32; the memory layout that sparse convolutions expect.
        batch_size: number of samples, those without a voxel included.
        grid: the cells, of which these are the occupied ones.
    """

    features: Float[Tensor, "v c"]
    coordinates: Int[Tensor, "v 4"]
    batch_size: int
    grid: VoxelGrid

    def __len__(self) -> int:
        return len(self.features)

    def keep(self, chosen: Bool[Tensor, "v"]) -> "Voxels":
        """Keep the chosen voxels alone."""
        return Voxels(self.features[chosen], self.coordinates[chosen].contiguous(), self.batch_size, self.grid)

    def with_features(self, features: Float[Tensor, "v c2"]) -> "Voxels":
        """Give the voxels other features."""
        return Voxels(features, self.coordinates, self.batch_size, self.grid)

    def of_sample(self, number: int) -> "Voxels":
        """Take the voxels of one sample, as a batch of its own."""
        one = self.keep(self.coordinates[:, 0] == number)
        coordinates = one.coordinates.clone()
        coordinates[:, 0] = 0
        return Voxels(one.features, coordinates, 1, self.grid)

    @staticmethod
    def joined(batches: Sequence["Voxels"]) -> "Voxels":
        """Join the voxels of several batches into one; the samples of a batch follow those of the batches before.

        Raises:
            ValueError: there is no batch.
        """
        if not batches:
            raise ValueError("expected at least one batch of voxels, got none")
        coordinates, before = [], 0
        for batch in batches:
            moved = batch.coordinates.clone()
            moved[:, 0] += before
            coordinates.append(moved)
            before += batch.batch_size
        return Voxels(torch.cat([b.features for b in batches]), torch.cat(coordinates), before, batches[0].grid)

    def counts(self) -> Int[Tensor, "b"]:
        """Count the voxels of each sample."""
        return torch.bincount(self.coordinates[:, 0].long(), minlength=self.batch_size)

    def locate(self, points: Sequence[Tensor]) -> PointPlaces:
        """Find the voxel of every point.

        Cells are found in float64, as voxelization does.

        Args:
            points: point cloud `[P, C]` of each sample, (x, y, z, ...) in metres.

        Raises:
            ValueError: when there is not one cloud for each sample.
        """
        if len(points) != self.batch_size:
            raise ValueError(f"expected points of {self.batch_size} samples, got {len(points)}")
        xyz = torch.cat([p[:, :3] for p in points]).double()
        sample = sample_numbers(points)
        cell, inside, offsets = self.grid.place_in_cell(xyz)
        offsets = offsets.float()
        if len(self) == 0:
            nowhere = torch.zeros_like(sample)
            return PointPlaces(nowhere, nowhere.bool(), offsets)
        keys = cell_keys(*self.coordinates.long().unbind(dim=1), self.grid)
        wanted = cell_keys(sample, cell[:, 2], cell[:, 1], cell[:, 0], self.grid)
        rows = torch.searchsorted(keys, wanted).clamp(max=len(self) - 1)
        found = inside & (keys[rows] == wanted)
        return PointPlaces(rows.where(found, 0), found, offsets)


def cell_keys(
    sample: Int[Tensor, "v"], z: Int[Tensor, "v"], y: Int[Tensor, "v"], x: Int[Tensor, "v"], grid: VoxelGrid
) -> Int[Tensor, "v"]:
    """Return one int64 number for each cell of a batch, which grows with sample, z, y, x."""
    nx, ny, nz = grid.size
    return ((sample * nz + z) * ny + y) * nx + x


def sample_numbers(points: Sequence[Tensor]) -> Int[Tensor, "p"]:
    """Return the number of the sample of each point, for clouds that follow one another."""
    # Numbers of points are known here: filling in waits for no device, as repeating by a tensor of counts would.
    return torch.cat([torch.full((len(p),), number, device=p.device) for number, p in enumerate(points)])
