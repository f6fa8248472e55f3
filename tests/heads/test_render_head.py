"""Options of the render head."""

from dataclasses import replace

import pytest
import torch

from ponderv2.heads import RenderHead
from ponderv2.rendering import HierarchicalSampler, NeuSOpacity, UniSurfOpacity, VolSDFOpacity
from ponderv2.structures import FeatureVolume, RayBatch, VoxelGrid

SAMPLER = dict(type=HierarchicalSampler, num_proposals=8, num_important=4)
GRID = VoxelGrid((-8.0, -8.0, -2.0, 8.0, 8.0, 2.0), (8, 8, 2))


def _head(**kwargs):
    torch.manual_seed(0)
    return RenderHead(4, render_channels=8, sampler=SAMPLER, **kwargs)


def _volume():
    return FeatureVolume(torch.randn(1, 4, *GRID.shape), GRID)


def _rays():
    origins = torch.zeros(1, 2, 5, 3)
    directions = torch.nn.functional.normalize(torch.randn(1, 2, 5, 3), dim=-1)
    valid = torch.ones(1, 2, 5, dtype=torch.bool)
    return RayBatch(
        origins,
        directions,
        valid,
        torch.full((1, 2, 5), 4.0),
        torch.zeros(1, 2, 5, 2),
        torch.rand(1, 2, 5, 3),
    )


def test_without_colour_weight_there_is_no_colour_network_and_no_need_for_colours():
    head = _head(objective=dict(color=0.0))
    losses = head.loss(_volume(), replace(_rays(), rgb=None))
    assert "loss_color" not in losses
    assert not any("color" in name for name, _ in head.named_parameters())
    losses["loss_depth"].backward()
    assert all(p.grad is not None for p in head.parameters())


def test_missing_colours_are_one_clear_error():
    with pytest.raises(ValueError, match="no colours"):
        _head().loss(_volume(), replace(_rays(), rgb=None))


def test_opacity_aware_depth_punishes_a_faint_ray_whose_normalised_depth_is_perfect():
    reference, aware = _head().eval(), _head(objective=dict(depth_mode="opacity_aware")).eval()
    volume, rays = _volume(), _rays()
    out = reference.render(volume, rays)
    assert (out.opacity < 0.99).all()
    rays = replace(rays, depth=out.depth.detach())
    assert reference.loss(volume, rays)["loss_depth"] < 1e-6
    assert aware.loss(volume, rays)["loss_depth"] > 1e-3


def test_invalid_rays_change_no_loss():
    head, volume, rays = _head().eval(), _volume(), _rays()
    valid = rays.valid.clone()
    valid[0, 0, :3] = False
    kept = head.loss(volume, replace(rays, valid=valid))
    other_depth, other_rgb = rays.depth.clone(), rays.rgb.clone()
    other_depth[0, 0, :3] = 1e6
    other_rgb[0, 0, :3] = float("nan")
    changed = head.loss(volume, replace(rays, valid=valid, depth=other_depth, rgb=other_rgb))
    for name in ("loss_color", "loss_depth"):
        assert torch.equal(kept[name], changed[name])


@pytest.mark.parametrize("preset", ["reference", "geometry", "occupancy"])
@pytest.mark.parametrize("opacity", [NeuSOpacity, VolSDFOpacity, UniSurfOpacity])
def test_presets_and_opacity_models_give_finite_losses_and_a_gradient_to_every_parameter(preset, opacity):
    head, rays = _head(objective=preset, opacity=dict(type=opacity)), _rays()
    # All rays at once, so that the conditions of all losses occur.
    losses = head.loss(_volume(), replace(rays, depth=torch.full_like(rays.depth, 3.0)))
    total = sum(value for name, value in losses.items() if name.startswith("loss_"))
    assert torch.isfinite(total)
    total.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in head.parameters())


def test_unknown_preset_and_unknown_weight_are_named():
    with pytest.raises(ValueError, match="indoor"):
        _head(objective="indoor")
    with pytest.raises(ValueError, match="colour"):
        _head(objective=dict(colour=1.0))


def test_unknown_modes_are_named():
    with pytest.raises(ValueError, match="metric"):
        _head(objective=dict(depth_mode="metric"))
    with pytest.raises(ValueError, match="color_mode"):
        _head(objective=dict(color_mode="huber"))


def test_the_colour_mode_reaches_the_loss():
    absolute, squared = _head().eval(), _head(objective=dict(color_mode="l2")).eval()
    squared.load_state_dict(absolute.state_dict())
    volume, rays = _volume(), _rays()
    first, second = absolute.loss(volume, rays), squared.loss(volume, rays)
    torch.testing.assert_close(first["loss_depth"], second["loss_depth"])
    assert 0 < second["loss_color"] < first["loss_color"]
