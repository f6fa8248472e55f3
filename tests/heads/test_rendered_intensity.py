"""Rendered intensities: against an explicit loop, their gradient, what is ignored, and that nothing else changes."""

from dataclasses import replace

import pytest
import torch

from ponderv2.rendering import intensity_loss
from tests.factories.render_heads import small_render_head, small_scene

INTENSITY = dict(objective=dict(intensity=2.0))


@pytest.fixture
def scene():
    volume, rays = small_scene()
    return volume, replace(rays, intensity=torch.rand(2, 2, 5))


def test_rendered_intensity_is_the_sigmoid_of_a_weighted_sum_over_all_samples(scene):
    volume, rays = scene
    head = small_render_head(**INTENSITY).eval()
    flat, projected = rays.flatten_cameras(), head.project(volume)
    out = head.renderer(projected, flat.origins, flat.directions)
    rendered = head.return_intensity(out)
    weight, bias = head.intensity.decoder.weight[0], head.intensity.decoder.bias[0]
    for b in range(2):
        one = projected.with_data(projected.data[b : b + 1])
        for q in range(10):
            expected = torch.zeros(())
            for s in range(out.t.shape[-1]):
                point = flat.origins[b, q] + out.t[b, q, s] * flat.directions[b, q]
                features = head.renderer.field(one, point[None, None], flat.directions[b, q][None, None]).semantic
                expected = expected + out.weights[b, q, s] * (weight @ features[0, 0] + bias)
            torch.testing.assert_close(rendered[b, q], expected.sigmoid(), rtol=1e-4, atol=1e-5)


def test_every_parameter_and_the_volume_get_a_gradient_from_intensities_alone(scene):
    volume, rays = scene
    head = small_render_head(**INTENSITY)
    volume = volume.with_data(volume.data.requires_grad_())
    head.loss(volume, rays)["loss_intensity"].backward()
    assert volume.data.grad.abs().sum() > 0
    of_color = {name for name, _ in head.named_parameters() if "color_mlp" in name}
    idle = {name for name, value in head.named_parameters() if value.grad is None or not value.grad.any()}
    assert idle == of_color


def test_the_loss_is_the_mean_over_samples_of_the_mean_over_returns():
    rendered, target = (
        torch.tensor([[0.5, 0.1, 0.9], [0.2, 0.2, 0.2]]),
        torch.tensor([[0.0, 0.3, 0.0], [0.2, 0.6, 0.0]]),
    )
    mask = torch.tensor([[True, True, False], [False, True, False]])
    assert intensity_loss(rendered, target, mask).item() == pytest.approx((0.35 + 0.4) / 2)


def test_rays_without_a_return_change_nothing(scene):
    volume, rays = scene
    head = small_render_head(**INTENSITY)
    depth = rays.depth.clone()
    depth[..., 0] = 0
    changed = rays.intensity.clone()
    changed[..., 0] = 1 - changed[..., 0]
    # The same proposals for both: the sampler draws.
    losses = []
    for intensity in (rays.intensity, changed):
        torch.manual_seed(0)
        losses.append(head.loss(volume, replace(rays, depth=depth, intensity=intensity))["loss_intensity"])
    assert torch.equal(*losses)


def test_intensities_change_no_bit_of_colour_and_depth(scene):
    volume, rays = scene
    outputs = [small_render_head(**kwargs).eval().render(volume, rays) for kwargs in (INTENSITY, {})]
    for name in ("rgb", "depth", "opacity", "weights"):
        assert torch.equal(getattr(outputs[0], name), getattr(outputs[1], name)), name


def test_classes_and_intensities_share_their_features(scene):
    volume, rays = scene
    head = small_render_head(
        objective=dict(intensity=2.0, semantic=0.1), semantic=dict(classes=("car", "road", "tree"))
    ).eval()
    chunks = head.render_chunked(volume, rays)
    whole = head.render(volume, rays)
    torch.testing.assert_close(chunks["intensity"], head.return_intensity(whole))
    torch.testing.assert_close(chunks["class_logits"], head.class_logits(whole))


def test_a_weight_of_zero_builds_nothing_and_rays_without_intensities_are_named(scene):
    volume, rays = scene
    assert small_render_head().intensity is None
    assert small_render_head().renderer.field.semantic_mlp is None
    with pytest.raises(ValueError, match=r"intensity > 0 but the rays have no intensities: set intensity=True"):
        small_render_head(**INTENSITY).loss(volume, replace(rays, intensity=None))
