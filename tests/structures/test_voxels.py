"""Voxels: the one of each point is found, whatever the order of the points."""

import pytest
import torch

from ponderv2.encoders import voxelize
from ponderv2.structures import VoxelGrid, Voxels

GRID = VoxelGrid((-4, -4, -2, 4, 4, 2), (16, 16, 8))


def _clouds() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [(torch.rand(count, 4, generator=generator) - 0.5) * 9 for count in (300, 0, 200)]


def test_each_point_finds_the_voxel_that_is_its_cell():
    clouds = _clouds()
    voxels = voxelize(clouds, GRID)
    places = voxels.locate(clouds)
    inside = torch.cat([GRID.contains(cloud[:, :3]) for cloud in clouds])
    assert 0 < inside.sum() < len(inside)
    assert torch.equal(places.found, inside)
    found = voxels.coordinates[places.rows[inside]]
    sample = torch.cat([torch.full((len(cloud),), k) for k, cloud in enumerate(clouds)])[inside]
    cell, _ = GRID.cell_of(torch.cat(clouds)[:, :3].double())
    assert torch.equal(found.long(), torch.cat([sample[:, None], cell[inside].flip(1)], dim=1))


def test_offsets_lead_from_the_centre_of_the_cell_to_the_point():
    clouds = _clouds()
    places = voxelize(clouds, GRID).locate(clouds)
    cell, inside = GRID.cell_of(torch.cat(clouds)[:, :3].double())
    centers = GRID.centers(dtype=torch.float64)[cell[:, 2], cell[:, 1], cell[:, 0]]
    again = centers + places.offsets * torch.tensor(GRID.voxel_size)
    torch.testing.assert_close(again[inside], torch.cat(clouds)[:, :3].double()[inside], atol=1e-6, rtol=0)
    assert places.offsets.abs().max() <= 0.5
    assert not places.offsets[~inside].any()


def test_a_point_in_a_cell_that_is_left_out_finds_none():
    clouds = _clouds()
    voxels = voxelize(clouds, GRID)
    kept = torch.arange(len(voxels)) % 2 == 0
    places = voxels.locate(clouds)
    rest = voxels.keep(kept).locate(clouds)
    assert torch.equal(rest.found, places.found & kept[places.rows])
    assert not rest.rows[~rest.found].any()


def test_without_voxels_no_point_finds_one():
    none = Voxels(torch.zeros(0, 2), torch.zeros(0, 4, dtype=torch.int32), 3, GRID)
    places = none.locate(_clouds())
    assert not places.found.any()
    with pytest.raises(ValueError, match="expected points of 3 samples, got 1"):
        none.locate(_clouds()[:1])


def test_the_mean_of_a_voxel_does_not_depend_on_the_order_of_its_points():
    cloud = _clouds()[0] * torch.tensor([1.0, 1.0, 0.1, 1e3])
    grid = VoxelGrid((-8, -8, -2, 8, 8, 2), (2, 2, 1))
    first = voxelize([cloud], grid).features
    for seed in range(3):
        order = torch.randperm(len(cloud), generator=torch.Generator().manual_seed(seed))
        assert torch.equal(voxelize([cloud[order]], grid).features, first)
