"""A volume has the shape of its grid."""

import pytest
import torch

from ponderv2.structures import FeatureVolume, VoxelGrid

GRID = VoxelGrid((-4, -3, -1, 4, 3, 1), (8, 6, 2))


def test_features_in_memory_order_are_accepted():
    data = torch.rand(2, 5, 2, 6, 8)
    assert FeatureVolume(data, GRID).data is data


@pytest.mark.parametrize("shape", [(1, 5, 8, 6, 2), (1, 5, 2, 6, 9), (1, 5, 2, 8, 6)])
def test_another_shape_is_refused_with_both_shapes(shape):
    with pytest.raises(ValueError, match=r"volume of shape \(1, 5.*\(2, 6, 8\) cells"):
        FeatureVolume(torch.rand(shape), GRID)


def test_other_features_keep_the_grid_and_must_fit_it():
    volume = FeatureVolume(torch.rand(1, 5, 2, 6, 8), GRID)
    other = torch.rand(1, 3, 2, 6, 8)
    replaced = volume.with_data(other)
    assert replaced.data is other
    assert replaced.grid is GRID
    with pytest.raises(ValueError, match="cells"):
        volume.with_data(torch.rand(1, 3, 2, 6, 7))
