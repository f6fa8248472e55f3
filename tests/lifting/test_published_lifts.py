"""With the published placement, lifts compute what a plain statement of the published ones does."""

import pytest
import torch

from ponderv2.lifting import PullLift, SplatLift
from ponderv2.structures import VoxelGrid
from tests.factories.published_lifts import published_pull, published_splat
from tests.factories.small_rig import PADDED, small_rig

RANGE, CELLS = (-6.0, -6.0, -2.0, 6.0, 6.0, 2.0), (12, 10, 5)
GRID = VoxelGrid(RANGE, CELLS, "published")
DEPTHS = (1.013, 9.041)
# The second image is no multiple of the strides, and none fills its padding.
RIG = dict(cameras=3, batch=2, turn=0.31, center=(0.37, -0.23, 0.11))


def rig_and_maps(strides, channels=4, bins=16):
    torch.manual_seed(0)
    rig = small_rig(**RIG).to("cpu", torch.float32)
    sizes = [(-(-PADDED[0] // s), -(-PADDED[1] // s)) for s in strides]
    features = [torch.randn(2, 3, channels, *size) for size in sizes]
    depths = [torch.randn(2, 3, bins, *size).softmax(dim=2) for size in sizes]
    return rig, features, depths


def pulled(grid, lift_offsets=None):
    strides = (8, 16, 40)
    rig, features, depths = rig_and_maps(strides)
    return PullLift(DEPTHS)(features, depths, strides, rig, grid, lift_offsets)


def test_pull_equals_the_published_one():
    rig, features, depths = rig_and_maps((8, 16, 40))
    expected = published_pull(features, depths, rig.lidar2img, PADDED, RANGE, CELLS, DEPTHS)
    assert (expected != 0).any(dim=1).float().mean() > 0.3
    torch.testing.assert_close(pulled(GRID), expected, rtol=1e-4, atol=1e-4)
    # It is the placement that makes them equal.
    assert (pulled(VoxelGrid(RANGE, CELLS)) - expected).abs().max() > 0.1


def test_the_published_pull_does_not_ask_where_the_cells_of_a_map_are():
    assert torch.equal(pulled(GRID, (0.0, 0.0, 0.0)), pulled(GRID))


def test_splat_equals_the_published_one():
    rig, (features,), (depths,) = rig_and_maps((8,))
    expected, places = published_splat(features, depths, rig.lidar2img, 8, RANGE, CELLS, DEPTHS)
    # No point is so near a border between cells that rounding decides; some are cut off into the first cells.
    assert (places - places.round()).abs().min() > 1e-5
    below = (places > -1) & (places < 0)
    assert (below.any(dim=-1) & ((places > -1) & (places < torch.tensor(CELLS))).all(dim=-1)).any()
    volume = SplatLift(DEPTHS)([features], [depths], (8,), rig, GRID)
    torch.testing.assert_close(volume, expected, rtol=1e-4, atol=1e-4)
    centered = SplatLift(DEPTHS)([features], [depths], (8,), rig, VoxelGrid(RANGE, CELLS))
    assert (centered - expected).abs().max() > 0.1


@pytest.mark.parametrize("lift", [PullLift, SplatLift])
def test_gradients_reach_features_and_depths_with_the_published_placement(lift):
    rig, features, depths = rig_and_maps((8,))
    leaves = [features[0].requires_grad_(), depths[0].requires_grad_()]
    volume = lift(DEPTHS)(features, depths, (8,), rig, GRID)
    assert all(grad.abs().sum() > 0 for grad in torch.autograd.grad(volume.square().sum(), leaves))
