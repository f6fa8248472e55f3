"""Rendered classes: against explicit loops, their gradient, what is ignored, and that nothing else changes."""

from dataclasses import replace

import pytest
import torch

from ponderv2.errors import UserError
from ponderv2.heads.rendered_classes import RenderedClasses
from ponderv2.rendering import semantic_loss
from ponderv2.structures import FeatureVolume, RayBatch
from tests.factories.render_heads import small_render_head, small_scene

CLASSES = ("car", "road", "tree")
SEMANTIC = dict(objective=dict(semantic=0.1), semantic=dict(classes=CLASSES))


@pytest.fixture
def scene() -> tuple[FeatureVolume, RayBatch]:
    volume, rays = small_scene()
    return volume, replace(rays, semantic=torch.randint(-1, 3, (2, 2, 5)))


def test_rendered_logits_are_the_weighted_sum_of_the_logits_of_all_samples(scene):
    volume, rays = scene
    head = small_render_head(**SEMANTIC).eval()
    flat, projected = rays.flatten_cameras(), head.project(volume)
    out = head.renderer(projected, flat.origins, flat.directions)
    logits = head.class_logits(out)
    weight, bias = head.classes.decoder.weight, head.classes.decoder.bias
    for b in range(2):
        one = projected.with_data(projected.data[b : b + 1])
        for q in range(10):
            expected = torch.zeros(3)
            for s in range(out.t.shape[-1]):
                point = flat.origins[b, q] + out.t[b, q, s] * flat.directions[b, q]
                features = head.renderer.field(one, point[None, None], flat.directions[b, q][None, None]).semantic
                expected += out.weights[b, q, s] * (weight @ features[0, 0] + bias)
            torch.testing.assert_close(logits[b, q], expected, rtol=1e-4, atol=1e-5)


def test_every_parameter_and_the_volume_get_a_gradient_from_classes_alone(scene):
    volume, rays = scene
    head = small_render_head(**SEMANTIC)
    volume = volume.with_data(volume.data.requires_grad_())
    head.loss(volume, rays)["loss_semantic"].backward()
    assert volume.data.grad.abs().sum() > 0
    without = [name for name, p in head.named_parameters() if p.grad is None and "color" not in name]
    assert without == []
    assert all(p.grad.isfinite().all() for p in head.parameters() if p.grad is not None)


def test_the_gradient_of_the_loss_is_that_of_finite_differences():
    torch.manual_seed(0)
    logits = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    target, mask = torch.tensor([[0, 1, -1, 2], [2, -1, 0, 0]]), torch.tensor([[True] * 4, [True, True, False, True]])
    assert torch.autograd.gradcheck(lambda x: semantic_loss(x, target, mask), logits)


def test_the_loss_is_the_mean_over_samples_of_the_mean_over_rays_with_a_class():
    torch.manual_seed(0)
    logits, target = torch.randn(3, 6, 4), torch.randint(-1, 4, (3, 6))
    target[2] = -1
    mask = torch.rand(3, 6) > 0.3
    total = 0.0
    for b in range(3):
        costs = [
            float(-torch.log_softmax(logits[b, q], 0)[target[b, q]])
            for q in range(6)
            if mask[b, q] and target[b, q] >= 0
        ]
        total += sum(costs) / max(len(costs), 1) / 3
    assert float(semantic_loss(logits, target, mask)) == pytest.approx(total, rel=1e-5)


def test_rays_without_a_class_or_a_depth_change_nothing(scene):
    volume, rays = scene
    head = small_render_head(**SEMANTIC).eval()
    expected = head.loss(volume, rays)["loss_semantic"]
    # Where no depth was measured, a class is nobody's.
    unmeasured = rays.semantic < 0
    depth = torch.where(unmeasured, torch.zeros_like(rays.depth), rays.depth)
    semantic = torch.where(unmeasured, torch.full_like(rays.semantic, 2), rays.semantic)
    assert torch.equal(head.loss(volume, replace(rays, depth=depth, semantic=semantic))["loss_semantic"], expected)


def test_without_any_label_the_loss_is_zero_and_gradients_are_finite(scene):
    volume, rays = scene
    head = small_render_head(**SEMANTIC)
    losses = head.loss(volume, replace(rays, semantic=torch.full_like(rays.semantic, -1)))
    assert losses["loss_semantic"] == 0
    losses["loss_semantic"].backward()
    assert all(p.grad is not None and (p.grad == 0).all() for p in head.classes.parameters())
    logits = torch.full((1, 2, 3), float("nan"), requires_grad=True)
    semantic_loss(logits, torch.tensor([[-1, 1]]), torch.tensor([[True, False]])).backward()
    assert (logits.grad == 0).all()


def test_classes_change_no_bit_of_colour_and_depth(scene):
    volume, rays = scene
    plain, semantic = small_render_head().eval(), small_render_head(seed=5, **SEMANTIC).eval()
    missing, unexpected = semantic.load_state_dict(plain.state_dict(), strict=False)
    assert unexpected == []
    assert {name.split(".")[-3] for name in missing if "layers" not in name} <= {"field", "classes", "semantic_mlp"}
    expected, found = plain.loss(volume, rays), semantic.loss(volume, rays)
    assert set(found) == {*expected, "loss_semantic"}
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_weight_of_zero_builds_nothing_and_needs_no_classes(scene):
    volume, rays = scene
    head = small_render_head(objective=dict(semantic=0.0), semantic=dict(classes=CLASSES))
    assert head.state_dict().keys() == small_render_head().state_dict().keys()
    assert "loss_semantic" not in head.loss(volume, replace(rays, semantic=None))


def test_chunks_of_rays_give_the_same_classes(scene):
    volume, rays = scene
    head = small_render_head(**SEMANTIC, chunk_size=2).eval()
    logits = head.render_chunked(volume, rays)["class_logits"]
    assert logits.shape == (2, 2, 5, 3)
    torch.testing.assert_close(logits, head.class_logits(head.render(volume, rays)))


def test_wrong_input_is_one_clear_error(scene):
    volume, rays = scene
    with pytest.raises(UserError, match=r"give semantic=dict\(classes=...\)"):
        small_render_head(objective=dict(semantic=0.1))
    with pytest.raises(ValueError, match="the rays have no classes: load labels with LoadPointLabels"):
        small_render_head(**SEMANTIC).loss(volume, replace(rays, semantic=None))
    with pytest.raises(ValueError, match="semantic: expected classes below 3, got 7"):
        small_render_head(**SEMANTIC).loss(volume, replace(rays, semantic=torch.full_like(rays.semantic, 7)))
    for classes in ("car", ["car"], ["car", "car"]):
        with pytest.raises(UserError, match="at least two different names"):
            RenderedClasses(4, classes)
    with pytest.raises(UserError, match="temperature: expected a number above 0, got 0"):
        RenderedClasses(4, CLASSES, temperature=0)
    with pytest.raises(ValueError, match="samples of one batch must all have classes of rays, or none"):
        RayBatch.stack([rays, replace(rays, semantic=None)])
