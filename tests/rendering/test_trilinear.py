"""Trilinear interpolation: equal to torch's own, and its spatial derivative to autograd's."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from ponderv2.rendering import trilinear
from ponderv2.rendering._trilinear import flatten_cells, gather, gather_gradient, trilinear_index
from ponderv2.structures import PLACEMENTS, VoxelGrid

GRID = VoxelGrid((-3.0, -2.0, -1.0, 3.0, 4.0, 2.0), (5, 4, 3))


def _by_grid_sample(volume, points, grid):
    lower, upper = points.new_tensor(grid.lower), points.new_tensor(grid.upper)
    normalized = (points - lower) / (upper - lower) * 2 - 1
    values = F.grid_sample(volume, normalized[:, :, None, None], align_corners=grid.published, padding_mode="zeros")
    return values[..., 0, 0].transpose(1, 2)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_equals_grid_sample_inside_and_outside_the_volume(placement):
    grid = VoxelGrid(GRID.point_cloud_range, GRID.size, placement)
    volume = torch.randn(2, 6, *grid.shape, dtype=torch.float64)
    points = torch.randn(2, 200, 3, dtype=torch.float64) * 4
    features = trilinear(volume, grid.to_index(points))
    torch.testing.assert_close(features, _by_grid_sample(volume, points, grid))


def test_a_volume_of_cell_centre_coordinates_reads_back_the_coordinates():
    centers = GRID.centers(dtype=torch.float64)
    volume = centers.permute(3, 0, 1, 2)[None]
    low = torch.tensor(GRID.lower, dtype=torch.float64) + torch.tensor(GRID.voxel_size) / 2
    high = torch.tensor(GRID.upper, dtype=torch.float64) - torch.tensor(GRID.voxel_size) / 2
    points = low + torch.rand(1, 100, 3, dtype=torch.float64) * (high - low)
    torch.testing.assert_close(trilinear(volume, GRID.to_index(points)), points)


def test_points_far_away_and_not_finite_products_read_zero():
    volume = torch.randn(1, 2, *GRID.shape)
    points = torch.tensor([[[1e30, 0.0, 0.0], [0.0, -1e30, 0.0], [0.0, 0.0, 1e12]]])
    assert trilinear(volume, GRID.to_index(points)).abs().max() == 0


def _gradient_along(volume, index, direction):
    places = trilinear_index(volume.shape, index)
    return gather_gradient(flatten_cells(volume), places, direction.flatten(0, 1)).unflatten(0, index.shape[:2])


def test_the_spatial_gradient_along_a_feature_direction_equals_autograd_through_the_position():
    volume = torch.randn(2, 4, *GRID.shape, dtype=torch.float64)
    points = (torch.rand(2, 50, 3, dtype=torch.float64) * 9 - 4.5).requires_grad_()
    direction = torch.randn(2, 50, 4, dtype=torch.float64)
    scale, _ = GRID.index_map(dtype=torch.float64)
    gradient = _gradient_along(volume, GRID.to_index(points), direction) * scale
    (by_point,) = torch.autograd.grad((_by_grid_sample(volume, points, GRID) * direction).sum(), points)
    torch.testing.assert_close(gradient, by_point)


def test_gradients_to_volume_and_direction():
    volume = torch.randn(2, 2, *GRID.shape, dtype=torch.float64, requires_grad=True)
    index = GRID.to_index(torch.randn(2, 6, 3, dtype=torch.float64) * 3)
    direction = torch.randn(2, 6, 2, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda v: trilinear(v, index), (volume,))
    assert gradcheck(lambda v, d: _gradient_along(v, index, d), (volume, direction))


def test_a_sorted_index_gathers_the_same_and_give_the_same_gradients():
    volume = torch.randn(2, 3, *GRID.shape, dtype=torch.float64, requires_grad=True)
    index = trilinear_index(volume.shape, GRID.to_index(torch.randn(2, 40, 3, dtype=torch.float64) * 3))
    ordered, order = index.sorted()
    assert (ordered.rows[1:] >= ordered.rows[:-1]).all()
    cells = flatten_cells(volume)
    torch.testing.assert_close(gather(cells, ordered), gather(cells, index)[order])
    weight = torch.randn(80, 3, dtype=torch.float64)
    direct = torch.autograd.grad((gather(cells, index) * weight).sum(), volume, retain_graph=True)
    by_run = torch.autograd.grad((gather(cells, ordered) * weight[order]).sum(), volume)
    torch.testing.assert_close(by_run, direct)


def test_a_batch_of_two_is_two_batches_of_one():
    volume = torch.randn(2, 3, *GRID.shape)
    index = GRID.to_index(torch.randn(2, 20, 3))
    both = trilinear(volume, index)
    for b in range(2):
        torch.testing.assert_close(both[b : b + 1], trilinear(volume[b : b + 1], index[b : b + 1]))
