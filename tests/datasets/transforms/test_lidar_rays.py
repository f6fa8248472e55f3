"""Rays of the LiDAR, where there are no cameras."""

import math

import numpy as np
import pytest
import torch

from ponderv2.datasets import LoadLidarSweeps, RayHoldout, SampleLidarRays, UnifiedRotScaleTransFlip
from ponderv2.datasets.transforms.lidar_rays import nearest_in_panorama
from ponderv2.structures import RayBatch

RANGE = (-54.0, -54.0, -5.0, 54.0, 54.0, 3.0)


@pytest.fixture
def swept(dataset):
    """The key frame with two earlier sweeps and no camera."""
    return LoadLidarSweeps(num_sweeps=2)(dataset.get_data_info(0))


def draw(results: dict, **kwargs) -> RayBatch:
    return SampleLidarRays(RANGE, **(dict(num_rays=400) | kwargs))(results)["rays"]


def ends(rays: RayBatch) -> torch.Tensor:
    return (rays.origins + rays.depth[..., None] * rays.directions)[rays.valid]


def test_rays_from_the_lidar_end_at_returns_under_any_augmentation(swept):
    np.random.seed(0)
    swept = UnifiedRotScaleTransFlip((-3.0, 3.0), (0.8, 1.2), (1.0, 1.0, 0.5), 0.5, 0.5)(swept)
    rays = draw(swept, radius=(0.0, 500.0))
    assert rays.valid.all()
    assert "rig" not in swept
    torch.testing.assert_close(rays.directions.norm(dim=-1), torch.ones(1, 400))
    center = torch.from_numpy(swept["lidar_aug"][:3, 3]).float()
    assert (rays.origins == center).all()
    nearest = torch.cdist(ends(rays).double(), swept["points"].tensor[:, :3].double()).min(dim=1).values
    assert nearest.max() < 1e-3


def test_of_returns_in_one_direction_only_the_nearest_is_a_target():
    rays = torch.tensor([[10.0, 0.001, 0.0], [5.0, 0.0005, 0.0], [0.0, 7.0, 0.0], [-3.0, 0.0, 3.0]]).double()
    pixels, distance, directions = nearest_in_panorama(rays)
    assert sorted(distance.tolist()) == pytest.approx([math.sqrt(18), 5.0, 7.0])
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(3, dtype=torch.float64))
    up = distance.argmin()
    assert pixels[up, 1] == pytest.approx(225 - 0.5)  # 45° up: a quarter of 900 rows
    assert pixels[distance.argmax(), 0] == pytest.approx(0.75 * 1800 - 0.5)  # straight ahead, +y


def test_what_is_missing_is_invalid(swept):
    rays = draw(swept, num_rays=20000)
    assert 0 < rays.valid.sum() < 20000
    assert torch.equal(rays.valid, rays.has_depth)
    assert all(getattr(rays, f).isfinite().all() for f in ("origins", "directions", "depth", "pixels"))


def test_held_out_and_training_directions_never_share_a_tile(swept):
    def tiles(split: str) -> set[tuple[int, ...]]:
        rays = draw(swept, holdout=dict(share=0.2), split=split, num_rays=20000)
        held_out = RayHoldout(0.2, 16).contains(rays.pixels[rays.valid].double())
        assert (held_out == (split == "heldout")).float().mean() > 0.99
        return {tuple(t) for t in torch.floor((rays.pixels[rays.valid] + 0.5) / 16).int().tolist()}

    shared = tiles("train") & tiles("heldout")
    assert len(shared) <= 2  # float32 pixels at the edge of a tile may round to the neighbour


def test_a_seed_repeats_the_choice(swept):
    first, second, other = draw(swept, seed=1), draw(swept, seed=1), draw(swept, seed=2)
    assert torch.equal(first.depth, second.depth)
    assert not torch.equal(first.depth, other.depth)


def test_with_no_lag_allowed_only_the_key_frame_has_targets(swept):
    points = swept["points"].tensor
    points[points[:, 4] > 0, 2] += 0.3  # the same world, otherwise
    key = points[points[:, 4] == 0, :3].double()
    rays = draw(swept, max_lag=0.0, num_rays=4000)
    assert torch.cdist(ends(rays).double(), key).min(dim=1).values.max() < 1e-3
    everything = draw(swept, num_rays=4000)
    assert torch.cdist(ends(everything).double(), key).min(dim=1).values.max() > 0.05


def test_a_sweep_without_points_has_no_valid_ray(swept):
    swept["points"].tensor = swept["points"].tensor[:0]
    rays = draw(swept)
    assert rays.valid.shape == (1, 400)
    assert not rays.valid.any()


def test_contradictions_are_refused():
    with pytest.raises(ValueError, match="split 'heldout' needs a holdout"):
        SampleLidarRays(RANGE, split="heldout")
