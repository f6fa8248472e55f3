"""Rendered features: against explicit loops, which way their gradient goes, and that nothing else changes."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from ponderv2.errors import UserError
from ponderv2.heads import RenderHead
from ponderv2.rendering import HierarchicalSampler, feature_loss
from ponderv2.structures import FeatureVolume, RayBatch, VoxelGrid

GRID = VoxelGrid((-8.0, -8.0, -2.0, 8.0, 8.0, 2.0), (8, 8, 2))
FEATURES = dict(objective=dict(feature=1.0), feature=dict(channels=5))


def _head(seed=0, **kwargs) -> RenderHead:
    torch.manual_seed(seed)
    sampler = dict(type=HierarchicalSampler, num_proposals=8, num_important=4)
    return RenderHead(4, render_channels=8, hidden_channels=6, sampler=sampler, **kwargs)


@pytest.fixture
def scene() -> tuple[FeatureVolume, RayBatch]:
    torch.manual_seed(1)
    volume = FeatureVolume(torch.randn(2, 4, *GRID.shape), GRID)
    directions = F.normalize(torch.randn(2, 2, 5, 3), dim=-1)
    every, depth = torch.ones(2, 2, 5, dtype=torch.bool), torch.full((2, 2, 5), 4.0)
    pixels, rgb = torch.zeros(2, 2, 5, 2), torch.rand(2, 2, 5, 3)
    features = torch.randn(2, 2, 5, 5)
    return volume, RayBatch(torch.zeros(2, 2, 5, 3), directions, every, depth, pixels, rgb, features=features)


def test_rendered_features_are_the_weighted_sum_of_those_of_the_volume_at_all_samples(scene):
    volume, rays = scene
    head = _head(**FEATURES).eval()
    out = head.render(volume, rays)
    found = head.rendered_features(out)
    assert found.shape == (2, 2, 5, 5)
    for b in range(2):
        one = volume.with_data(volume.data[b : b + 1])
        for n in range(2):
            for r in range(5):
                expected = torch.zeros(5)
                for s in range(out.t.shape[-1]):
                    point = rays.origins[b, n, r] + out.t[b, n, r, s] * rays.directions[b, n, r]
                    expected += out.weights[b, n, r, s] * head.features_at(one, point[None, None])[0, 0]
                torch.testing.assert_close(found[b, n, r], expected, rtol=1e-4, atol=1e-5)


def test_by_default_features_shape_no_geometry_and_on_request_they_do(scene):
    volume, rays = scene
    for shapes in (False, True):
        head = _head(objective=dict(feature=1.0), feature=dict(channels=5, shape_geometry=shapes))
        data = volume.data.clone().requires_grad_()
        head.loss(volume.with_data(data), rays)["loss_feature"].backward()
        # The volume learns from features either way, and so do the networks of features.
        assert data.grad.abs().sum() > 0
        field = head.renderer.field
        assert all(p.grad.abs().sum() > 0 for p in (*field.feature_mlp.parameters(), *head.features.parameters()))
        of_geometry = [*field.sdf_mlp.parameters(), *head.renderer.opacity.parameters()]
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in of_geometry) == shapes
        assert not any(p.grad is not None and p.grad.any() for p in field.color_mlp.parameters())


@pytest.mark.parametrize("mode", ["cosine", "l2"])
def test_the_loss_is_the_mean_over_samples_of_the_mean_over_rays_with_a_depth(mode):
    torch.manual_seed(0)
    rendered, target, mask = torch.randn(3, 6, 4), torch.randn(3, 6, 4), torch.rand(3, 6) > 0.3
    rendered[~mask] = float("nan")
    total = 0.0
    for b in range(3):
        costs = []
        for q in range(6):
            if mask[b, q]:
                a, c = rendered[b, q], target[b, q]
                costs.append(float(1 - a @ c / a.norm() / c.norm() if mode == "cosine" else ((a - c) ** 2).sum() / 4))
        total += sum(costs) / len(costs) / 3
    assert float(feature_loss(rendered, target, mask, mode)) == pytest.approx(total, rel=1e-5)
    doubles = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    other, every = torch.randn(2, 3, 4, dtype=torch.float64), torch.ones(2, 3, dtype=torch.bool)
    assert torch.autograd.gradcheck(lambda x: feature_loss(x, other, every, mode), doubles)


def test_rays_without_a_depth_change_nothing(scene):
    volume, rays = scene
    head = _head(**FEATURES).eval()
    depth = rays.depth.clone()
    depth[:, :, 3:] = 0
    features = rays.features.clone()
    features[:, :, 3:] = 100
    expected = head.loss(volume, replace(rays, depth=depth))["loss_feature"]
    assert torch.equal(head.loss(volume, replace(rays, depth=depth, features=features))["loss_feature"], expected)


def test_features_change_no_bit_of_color_and_depth_and_a_weight_of_zero_builds_nothing(scene):
    volume, rays = scene
    plain, features = _head().eval(), _head(seed=5, **FEATURES).eval()
    missing, unexpected = features.load_state_dict(plain.state_dict(), strict=False)
    assert unexpected == []
    assert all("feature" in name for name in missing)
    expected, found = plain.loss(volume, rays), features.loss(volume, rays)
    assert set(found) == {*expected, "loss_feature"}
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    unused = _head(objective=dict(feature=0.0), feature=dict(channels=5))
    assert unused.state_dict().keys() == plain.state_dict().keys()


def test_chunks_of_rays_give_the_same_features(scene):
    volume, rays = scene
    head = _head(**FEATURES, chunk_size=2).eval()
    found = head.render_chunked(volume, rays)["features"]
    torch.testing.assert_close(found, head.rendered_features(head.render(volume, rays)))


def test_wrong_input_is_one_clear_error(scene):
    volume, rays = scene
    with pytest.raises(UserError, match=r"give feature=dict\(channels=...\)"):
        _head(objective=dict(feature=1.0))
    with pytest.raises(UserError, match="channels: expected a whole number of at least 1, got 0"):
        _head(objective=dict(feature=1.0), feature=dict(channels=0))
    with pytest.raises(ValueError, match="the rays have no features of images"):
        _head(**FEATURES).loss(volume, replace(rays, features=None))
    with pytest.raises(UserError, match="it renders no features"):
        _head().features_at(volume, torch.zeros(2, 1, 3))
    with pytest.raises(ValueError, match="feature_mode: expected one of"):
        _head(objective=dict(feature=1.0, feature_mode="l1"), feature=dict(channels=5))
