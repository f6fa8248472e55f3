"""Interpolation: exact at centres, linear between them; images repeat their border, volumes fade beyond it."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ponderv2.geometry import sample_colors, sample_image, sample_volume
from ponderv2.rendering import trilinear
from ponderv2.structures import PLACEMENTS, FeatureVolume, VoxelGrid

RANGE, SIZE = (-16.0, -12.0, -3.0, 16.0, 12.0, 3.0), (8, 6, 3)
GRID = VoxelGrid((-16, -12, -3, 16, 12, 3), (8, 6, 3))
QUICK = settings(max_examples=25, deadline=None)


def slow(image: torch.Tensor, u: float, v: float) -> torch.Tensor:
    """One value of the image with its border repeated."""
    height, width = image.shape[-2:]
    u, v = min(max(u, 0.0), width - 1.0), min(max(v, 0.0), height - 1.0)
    left, top = math.floor(u), math.floor(v)
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    a, b = u - left, v - top
    upper = (1 - a) * image[:, top, left] + a * image[:, top, right]
    lower = (1 - a) * image[:, bottom, left] + a * image[:, bottom, right]
    return (1 - b) * upper + b * lower


@pytest.mark.parametrize("size", [(7, 11), (90, 160), (1, 1), (1, 5)])
def test_colors_are_those_of_the_whole_image_as_floats(size):
    image = torch.randint(0, 256, (*size, 3), dtype=torch.uint8)
    pixels = (torch.rand(300, 2, dtype=torch.float64) * 1.2 - 0.1) * torch.tensor(size[::-1])
    pixels[:50] = pixels[:50].round()
    colors = sample_colors(image.numpy(), pixels)
    assert colors.dtype == torch.float32
    whole = image.permute(2, 0, 1).double() / 255
    expected = torch.stack([slow(whole, u, v) for u, v in pixels.tolist()])
    torch.testing.assert_close(colors.double(), expected, rtol=0, atol=1e-7)
    torch.testing.assert_close(colors, sample_image(whole.float(), pixels.float()), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
@pytest.mark.parametrize("size", [(7, 11), (90, 160), (1, 1)])
def test_integer_coordinates_give_the_pixels_themselves(size, dtype, tolerance):
    image = torch.rand(3, *size, dtype=dtype)
    v, u = torch.meshgrid(*(torch.arange(n, dtype=dtype) for n in size), indexing="ij")
    values = sample_image(image, torch.stack([u, v], dim=-1).reshape(-1, 2))
    torch.testing.assert_close(values, image.flatten(1).T, rtol=0, atol=tolerance)


@QUICK
@given(st.floats(0, 15), st.floats(0, 8), st.floats(-3, 3), st.floats(-3, 3))
def test_a_linear_ramp_is_read_exactly_between_pixels(u, v, slope_u, slope_v):
    rows, columns = torch.meshgrid(torch.arange(9.0), torch.arange(16.0), indexing="ij")
    image = (slope_u * columns + slope_v * rows).double()[None]
    value = sample_image(image, torch.tensor([[u, v]], dtype=torch.float64))
    assert value.item() == pytest.approx(slope_u * u + slope_v * v, abs=1e-5)


@QUICK
@given(
    st.integers(1, 6),
    st.integers(1, 6),
    st.lists(st.tuples(st.floats(-3, 9), st.floats(-3, 9)), min_size=1, max_size=9),
)
def test_any_place_has_the_value_of_a_plain_loop(height, width, places):
    image = torch.rand(2, height, width, dtype=torch.float64)
    values = sample_image(image, torch.tensor(places, dtype=torch.float64))
    torch.testing.assert_close(values, torch.stack([slow(image, u, v) for u, v in places]), rtol=0, atol=1e-9)


def test_no_pixels_have_no_values():
    assert sample_image(torch.rand(3, 4, 5), torch.zeros(0, 2)).shape == (0, 3)


def test_a_volume_of_its_cell_centres_interpolates_to_the_points():
    grid = VoxelGrid(RANGE, SIZE)
    volume = FeatureVolume(grid.centers().permute(3, 0, 1, 2)[None], grid)
    half = torch.tensor(grid.voxel_size) / 2
    lower, upper = torch.tensor(grid.lower) + half, torch.tensor(grid.upper) - half
    points = lower + torch.rand(1, 100, 3) * (upper - lower)
    torch.testing.assert_close(sample_volume(volume, points), points, rtol=0, atol=1e-4)


def test_interpolation_of_a_volume_is_that_of_the_renderer():
    volume = FeatureVolume(torch.randn(2, 8, *SIZE[::-1]), VoxelGrid(RANGE, SIZE))
    points = (torch.rand(2, 50, 3) - 0.5) * torch.tensor([36.0, 28, 7])  # some outside
    expected = trilinear(volume.data, volume.grid.to_index(points))
    torch.testing.assert_close(sample_volume(volume, points), expected, rtol=1e-4, atol=1e-4)


def test_a_volume_of_its_cell_centres_reads_back_the_points():
    volume = FeatureVolume(GRID.centers(dtype=torch.float64).permute(3, 0, 1, 2)[None], GRID)
    half = 0.5 / torch.tensor(GRID.size, dtype=torch.float64)
    fraction = half + torch.rand(1, 100, 3, dtype=torch.float64) * (1 - 2 * half)
    points = GRID.from_fraction(fraction)
    torch.testing.assert_close(sample_volume(volume, points), points)


def test_a_volume_has_the_values_that_the_renderer_interpolates():
    volume = FeatureVolume(torch.randn(2, 5, *GRID.shape, dtype=torch.float64), GRID)
    points = GRID.from_fraction(torch.rand(2, 80, 3, dtype=torch.float64) * 1.4 - 0.2)
    torch.testing.assert_close(sample_volume(volume, points), trilinear(volume.data, GRID.to_index(points)))


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_queries_read_a_volume_at_the_centers_of_its_cells_whatever_its_placement(placement):
    grid = VoxelGrid(GRID.point_cloud_range, GRID.size, placement)
    volume = FeatureVolume(torch.randn(2, 5, *grid.shape, dtype=torch.float64), grid)
    fraction = torch.rand(2, 80, 3, dtype=torch.float64) * 1.4 - 0.2
    expected = F.grid_sample(volume.data, 2 * fraction[:, None, None] - 1, align_corners=False)[:, :, 0, 0]
    torch.testing.assert_close(sample_volume(volume, grid.from_fraction(fraction)), expected.transpose(1, 2))


def test_sampling_a_volume_is_differentiable_in_the_volume_and_the_points():
    data = torch.randn(1, 2, *GRID.shape, dtype=torch.float64, requires_grad=True)
    # Away from the borders of cells, where an interpolation has no derivative.
    index = torch.rand(1, 4, 3, dtype=torch.float64) * 0.8 + 0.1 + torch.tensor([2.0, 1.0, 1.0])
    scale, shift = GRID.index_map(dtype=torch.float64)
    points = ((index - shift) / scale).requires_grad_()
    assert torch.autograd.gradcheck(lambda d, p: sample_volume(FeatureVolume(d, GRID), p), (data, points))
