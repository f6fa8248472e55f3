"""The grid: where a cell's value sits, which points it holds, and what it refuses."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ponderv2.structures import VoxelGrid

RANGE = (-54.0, -27.0, -5.0, 54.0, 27.0, 3.0)
SIZE = (12, 6, 4)
QUICK = settings(max_examples=25, deadline=None)

counts = st.tuples(*[st.integers(1, 9)] * 3)
lowers = st.tuples(*[st.floats(-60, 60)] * 3)
edges = st.tuples(*[st.floats(0.05, 40)] * 3)
fractions = st.lists(st.tuples(*[st.floats(0, 0.999)] * 3), min_size=1, max_size=20)


def grid_of(size, lower, edge, placement="centered") -> VoxelGrid:
    return VoxelGrid((*lower, *(lo + e for lo, e in zip(lower, edge))), size, placement)


def indices(grid: VoxelGrid) -> torch.Tensor:
    """(x, y, z) index of every cell in the memory order of a volume, float64."""
    z, y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in grid.shape), indexing="ij")
    return torch.stack([x, y, z], dim=-1)


@QUICK
@given(counts, lowers, edges)
def test_the_index_of_the_centre_of_cell_k_is_k(size, lower, edge):
    grid = grid_of(size, lower, edge)
    index = grid.to_index(grid.centers(dtype=torch.float64))
    torch.testing.assert_close(index, indices(grid), rtol=0, atol=1e-8)


@QUICK
@given(counts, lowers, edges)
def test_the_published_placement_fills_lower_corners_and_reads_from_end_to_end(size, lower, edge):
    grid = grid_of(size, lower, edge, "published")
    step = torch.tensor(grid.voxel_size, dtype=torch.float64)
    last = torch.tensor(size, dtype=torch.float64) - 1
    lower, upper = (torch.tensor(v, dtype=torch.float64) for v in (grid.lower, grid.upper))
    torch.testing.assert_close(grid.centers(dtype=torch.float64), lower + indices(grid) * step, rtol=0, atol=1e-8)
    ends = grid.to_index(torch.stack([lower, upper]))
    torch.testing.assert_close(ends, torch.stack([torch.zeros(3, dtype=torch.float64), last]), rtol=0, atol=1e-8)
    # Hence the published offset: lower corner k is read at k * (n - 1) / n.
    expected = indices(grid) * last / (last + 1)
    torch.testing.assert_close(grid.to_index(grid.centers(dtype=torch.float64)), expected, rtol=0, atol=1e-8)
    # The detection head reads half a cell lower than a lift fills.
    read = grid.to_center_index(grid.centers(dtype=torch.float64))
    torch.testing.assert_close(read, indices(grid) - 0.5, rtol=0, atol=1e-8)


@pytest.mark.parametrize("align_corners", [False, True])
def test_a_volume_of_centre_coordinates_reads_back_coordinates_with_cell_centred_reads_alone(align_corners):
    grid = VoxelGrid(RANGE, SIZE)
    volume = grid.centers(dtype=torch.float64).permute(3, 0, 1, 2)[None]
    lower, upper = (torch.tensor(v, dtype=torch.float64) for v in (grid.lower, grid.upper))
    half = torch.tensor(grid.voxel_size, dtype=torch.float64) / 2
    points = lower + half + torch.rand(200, 3, dtype=torch.float64) * (upper - lower - 2 * half)
    unit = 2 * (points - lower) / (upper - lower) - 1
    read = F.grid_sample(volume, unit[None, :, None, None], align_corners=align_corners)[0, :, :, 0, 0].T
    assert torch.allclose(read, points, rtol=0, atol=1e-9) == (not align_corners)


@QUICK
@given(counts, lowers, edges, fractions)
def test_a_point_belongs_to_the_cell_whose_centre_is_nearest(size, lower, edge, fraction):
    grid = grid_of(size, lower, edge)
    step = torch.tensor(grid.voxel_size, dtype=torch.float64)
    cell = torch.tensor(fraction, dtype=torch.float64) * torch.tensor(size)
    inner = (cell - cell.floor() - 0.5).abs().max(dim=1).values < 0.499
    points = (torch.tensor(grid.lower, dtype=torch.float64) + cell * step)[inner]
    assert grid.contains(points).all()
    assert torch.equal(torch.floor(grid.to_index(points) + 0.5), cell.floor()[inner])


def test_index_map_is_what_to_index_applies():
    grid = VoxelGrid(RANGE, SIZE)
    points = torch.rand(5, 7, 3, dtype=torch.float64) * 100 - 50
    scale, shift = grid.index_map(dtype=torch.float64)
    assert torch.equal(grid.to_index(points), points * scale + shift)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_box_is_half_open(axis):
    grid = VoxelGrid(RANGE, SIZE)

    def moved(value: float) -> torch.Tensor:
        point = torch.zeros(3, dtype=torch.float64)
        point[axis] = value
        return point

    low, high = grid.lower[axis], grid.upper[axis]
    inside = [low, math.nextafter(high, low)]
    outside = [math.nextafter(low, -math.inf), high, high + 1]
    assert grid.contains(torch.stack([moved(v) for v in inside])).tolist() == [True, True]
    assert grid.contains(torch.stack([moved(v) for v in outside])).tolist() == [False, False, False]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_in_no_cell(value):
    point = torch.tensor([0.0, value, 0.0])
    assert not VoxelGrid(RANGE, SIZE).contains(point)
    cell, inside = VoxelGrid(RANGE, SIZE).cell_of(point)
    assert not inside
    assert cell.tolist() == [0, 0, 0]


@QUICK
@given(counts, lowers, edges, st.lists(st.tuples(*[st.floats(-0.5, 1.5)] * 3), min_size=1, max_size=20))
def test_the_cell_of_a_point_is_the_one_whose_bounds_hold_it(size, lower, edge, fraction):
    grid = grid_of(size, lower, edge)
    points = grid.from_fraction(torch.tensor(fraction, dtype=torch.float64))
    cell, inside = grid.cell_of(points)
    step, low = (torch.tensor(v, dtype=torch.float64) for v in (grid.voxel_size, grid.lower))
    # Within a rounding error of a face either side is right.
    share = (points - low) / step
    clear = ((share - share.round()).abs() > 1e-9).all(dim=1)
    assert torch.equal(inside[clear], grid.contains(points)[clear])
    chosen = inside & clear
    start = low + cell[chosen] * step
    assert ((points[chosen] >= start) & (points[chosen] < start + step)).all()
    assert (cell[~inside] == 0).all()


@QUICK
@given(counts, lowers, edges, st.lists(st.tuples(*[st.floats(-0.5, 1.5)] * 3), min_size=1, max_size=20))
def test_the_offset_of_a_point_leads_from_the_center_of_its_cell_to_it(size, lower, edge, fraction):
    grid = grid_of(size, lower, edge)
    points = grid.from_fraction(torch.tensor(fraction, dtype=torch.float64))
    cell, inside, offset = grid.place_in_cell(points)
    step, low = (torch.tensor(v, dtype=torch.float64) for v in (grid.voxel_size, grid.lower))
    torch.testing.assert_close((low + (cell + 0.5 + offset) * step)[inside], points[inside])
    assert (offset.abs() <= 0.5 + 1e-9).all()
    assert (offset[~inside] == 0).all()


def test_a_point_just_below_the_range_is_not_in_the_first_cell():
    below = torch.tensor([math.nextafter(-54.0, -math.inf), 0.0, 0.0], dtype=torch.float64)
    _, inside = VoxelGrid(RANGE, SIZE).cell_of(below)
    assert not inside


@QUICK
@given(counts, lowers, edges, fractions)
def test_fractions_of_the_range_and_metres_are_inverse(size, lower, edge, fraction):
    grid = grid_of(size, lower, edge)
    fraction = torch.tensor(fraction, dtype=torch.float64)
    torch.testing.assert_close(grid.to_fraction(grid.from_fraction(fraction)), fraction, rtol=0, atol=1e-9)


def test_fractions_run_from_the_lower_to_the_upper_end_and_beyond():
    grid = VoxelGrid(RANGE, SIZE)
    assert grid.from_fraction(torch.zeros(3)).tolist() == list(grid.lower)
    assert grid.from_fraction(torch.ones(2, 3)).tolist() == [list(grid.upper)] * 2
    assert grid.to_fraction(torch.tensor([0.0, 54.0, -9.0])).tolist() == [0.5, 1.5, -0.5]


def test_sizes_and_shape_follow_the_axes():
    grid = VoxelGrid(RANGE, SIZE)
    assert grid.voxel_size == (9.0, 9.0, 2.0)
    assert grid.shape == (4, 6, 12)
    assert grid.centers().shape == (4, 6, 12, 3)
    assert grid.centers()[0, 0, 0].tolist() == [-49.5, -22.5, -4.0]
    assert grid.centers()[0, 0, 1].tolist() == [-40.5, -22.5, -4.0]
    assert grid.centers()[1, 0, 0].tolist() == [-49.5, -22.5, -2.0]


def test_the_scene_scale_brings_the_farthest_face_to_one():
    assert VoxelGrid(RANGE, SIZE).scene_scale == pytest.approx(1 / 54)
    assert VoxelGrid((-1, -2, -80, 1, 2, 3), SIZE).scene_scale == pytest.approx(1 / 80)


def test_lists_of_a_config_give_the_same_grid():
    assert VoxelGrid([int(v) for v in RANGE], list(SIZE)) == VoxelGrid(RANGE, SIZE)
    assert hash(VoxelGrid(list(RANGE), list(SIZE))) == hash(VoxelGrid(RANGE, SIZE))


@pytest.mark.parametrize(
    ("point_cloud_range", "size", "placement", "message"),
    [
        (RANGE[:5], SIZE, "centered", r"point_cloud_range: expected 6 numbers.*27\.0\)"),
        ((*RANGE, 1.0), SIZE, "centered", "point_cloud_range: expected 6 numbers"),
        (RANGE, (1, 2), "centered", r"size: expected 3 positive cell counts.*\(1, 2\)"),
        (RANGE, (4, 0, 4), "centered", r"size: expected 3 positive cell counts.*\(4, 0, 4\)"),
        ((0, 0, 0, 1, -1, 1), SIZE, "centered", "every minimum must be below its maximum"),
        ((0, 0, 0, 1, 0, 1), SIZE, "centered", "every minimum must be below its maximum"),
        (RANGE, SIZE, "edge", "placement: expected 'centered' or 'published', got 'edge'"),
    ],
)
def test_a_wrong_grid_is_refused_with_what_was_expected(point_cloud_range, size, placement, message):
    with pytest.raises(ValueError, match=message):
        VoxelGrid(point_cloud_range, size, placement)
