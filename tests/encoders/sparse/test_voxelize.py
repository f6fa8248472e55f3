"""Voxels: the cell that `VoxelGrid` says, mmcv's choice under limits, means, empty samples."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.ops import Voxelization

from ponderv2.encoders import voxelize
from ponderv2.structures import VoxelGrid

GRID = VoxelGrid((-8.0, -4.0, -2.0, 8.0, 4.0, 2.0), (16, 8, 4))


def cloud(count: int, seed: int = 0, spread: float = 6.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(count, 5, generator=generator) * spread
    points[:, 2] *= 0.3
    return points


def brute_force(points: torch.Tensor, grid: VoxelGrid) -> dict[tuple[int, ...], torch.Tensor]:
    """Lists of points by (z, y, x)."""
    cells: dict[tuple[int, ...], list[torch.Tensor]] = {}
    for point in points:
        if grid.contains(point[:3]):
            index = torch.floor(grid.to_index(point[:3].double()) + 0.5).int().tolist()
            cells.setdefault(tuple(index[::-1]), []).append(point)
    return {place: torch.stack(found) for place, found in cells.items()}


def test_every_voxel_holds_the_mean_of_its_points():
    clouds = [cloud(400, 0), cloud(300, 1)]
    voxels = voxelize(clouds, GRID)
    assert voxels.batch_size == 2
    for sample, points in enumerate(clouds):
        expected = brute_force(points, GRID)
        mine = voxels.coordinates[:, 0] == sample
        places = [tuple(p) for p in voxels.coordinates[mine, 1:].tolist()]
        assert places == sorted(expected)
        means = torch.stack([expected[p].mean(dim=0) for p in places])
        torch.testing.assert_close(voxels.features[mine], means)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-5, 5), st.floats(-3, 3)), min_size=1, max_size=20))
def test_a_point_is_a_voxel_where_the_grid_contains_it_and_nowhere_else(places):
    points = torch.tensor(places, dtype=torch.float64)
    voxels = voxelize([points], GRID)
    inside = points[GRID.contains(points)]
    cells = torch.floor(GRID.to_index(inside) + 0.5).int().flip(1)
    assert {tuple(c) for c in cells.tolist()} == {tuple(c) for c in voxels.coordinates[:, 1:].tolist()}


def test_points_just_below_the_range_are_not_in_the_first_cell():
    below = torch.tensor([[-8.4, 0.0, 0.0], [0.0, -4.9, 0.0], [0.0, 0.0, -2.01]])
    assert len(voxelize([below], GRID)) == 0


def test_the_upper_end_of_the_range_is_outside_and_the_lower_inside():
    assert len(voxelize([torch.tensor([[8.0, 0.0, 0.0]])], GRID)) == 0
    assert voxelize([torch.tensor([[-8.0, -4.0, -2.0]])], GRID).coordinates.tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize(("max_points", "max_voxels"), [(1, 1000), (3, 40), (10, 7), (1000, 1)])
def test_limits_choose_the_points_and_voxels_of_mmcv_s_deterministic_kernel(max_points, max_voxels):
    points = cloud(600, spread=3.0)
    kernel = Voxelization(list(GRID.voxel_size), list(GRID.point_cloud_range), max_points, max_voxels)
    theirs, places, counts = kernel(points)
    means = theirs.sum(dim=1) / counts[:, None]
    order = torch.argsort((places[:, 0].long() * 8 + places[:, 1]) * 16 + places[:, 2])
    ours = voxelize([cloud(50, 9), points], GRID, max_points, max_voxels)
    mine = ours.coordinates[:, 0] == 1
    assert torch.equal(ours.coordinates[mine, 1:], places[order])
    torch.testing.assert_close(ours.features[mine], means[order])


def test_limits_are_those_of_each_sample():
    voxels = voxelize([cloud(500, 0), cloud(5, 1, 0.5), cloud(500, 2)], GRID, None, 20)
    assert voxels.counts().tolist() == [20, len(voxelize([cloud(5, 1, 0.5)], GRID)), 20]


def test_voxels_are_sorted_and_contiguous_for_spconv():
    voxels = voxelize([cloud(200, 0), cloud(200, 1)], GRID, 2, 50)
    assert voxels.coordinates.dtype == torch.int32
    assert voxels.coordinates.is_contiguous()
    assert voxels.coordinates.tolist() == sorted(voxels.coordinates.tolist())


@pytest.mark.parametrize("empty", [[0], [1], [2], [0, 2], [0, 1, 2]])
@pytest.mark.parametrize("limits", [(None, None), (2, 10)])
def test_samples_without_points_do_not_change_the_batch_size(empty, limits):
    clouds = [cloud(0 if k in empty else 50, k) for k in range(3)]
    voxels = voxelize(clouds, GRID, *limits)
    assert voxels.batch_size == 3
    assert [k for k, n in enumerate(voxels.counts().tolist()) if n == 0] == empty
    assert voxels.features.shape[1] == 5


def test_a_sample_whose_points_are_all_out_of_range_is_empty():
    voxels = voxelize([cloud(50) + 100.0, cloud(50)], GRID)
    assert voxels.counts()[0] == 0
    assert voxels.counts()[1] > 0


@pytest.mark.parametrize(
    ("points", "limits", "message"),
    [
        ([], {}, "at least one point cloud"),
        ([torch.zeros(3, 4), torch.zeros(3, 5)], {}, r"got \[4, 5\] columns"),
        ([torch.zeros(3, 2)], {}, r"got \[2\] columns"),
        ([torch.zeros(3, 3)], {"max_points": 0}, "max_points: expected a positive number or None, got 0"),
        ([torch.zeros(3, 3)], {"max_voxels": -1}, "max_voxels: expected a positive number or None, got -1"),
    ],
)
def test_bad_input_is_one_clear_error(points, limits, message):
    with pytest.raises(ValueError, match=message):
        voxelize(points, GRID, **limits)
