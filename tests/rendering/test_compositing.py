"""Compositing: weights are a partition of the light, depth and colour follow."""

import torch

from ponderv2.rendering import composite, transmittance_weights
from ponderv2.rendering.compositing import exclusive_sum


def _reference_weights(alpha):
    weights, light = [], torch.ones_like(alpha[..., 0])
    for k in range(alpha.shape[-1]):
        weights.append(light * alpha[..., k])
        light = light * (1 - alpha[..., k])
    return torch.stack(weights, dim=-1)


def test_weights_equal_a_loop_and_sum_to_at_most_one():
    alpha = torch.rand(20, 30, dtype=torch.float64)
    weights = transmittance_weights(torch.log1p(-alpha))
    torch.testing.assert_close(weights, _reference_weights(alpha))
    assert (weights >= 0).all()
    assert (weights.sum(dim=-1) <= 1 + 1e-12).all()


def test_weights_of_opaque_samples_have_finite_gradients():
    log_transparency = torch.tensor([[-1e-9, -500.0, -500.0, -1e-3]], requires_grad=True)
    transmittance_weights(log_transparency).square().sum().backward()
    assert torch.isfinite(log_transparency.grad).all()


def test_light_does_not_come_back_behind_an_opaque_sample():
    # What is before the third sample is -0.1, which vanishes in a sum with its own -1e9.
    log_transparency = torch.tensor([[-0.05, -0.05, -1e9, -0.05, -1e9]])
    expected = transmittance_weights(log_transparency.double()).float()
    weights = transmittance_weights(log_transparency)
    torch.testing.assert_close(weights, expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(weights.sum(), torch.tensor(1.0), rtol=1e-6, atol=0)


def test_an_infinitely_opaque_sample_takes_all_the_light_that_is_left():
    weights = transmittance_weights(torch.tensor([[-0.5, -torch.inf, -0.5]]))
    left = torch.tensor(-0.5).exp()
    torch.testing.assert_close(weights, torch.stack([1 - left, left, torch.tensor(0.0)])[None])


def test_an_exclusive_sum_is_the_sum_of_what_comes_before():
    values = torch.randn(3, 7, dtype=torch.float64)
    torch.testing.assert_close(exclusive_sum(values), torch.stack([values[:, :k].sum(dim=1) for k in range(7)], dim=1))


def test_one_opaque_sample_gives_its_depth_and_colour():
    weights = torch.tensor([[0.0, 1.0, 0.0]])
    t, far = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([4.0])
    rgb = torch.tensor([[[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]]])
    color, depth, opacity, to_far = composite(weights, t, far, rgb)
    torch.testing.assert_close(color, torch.tensor([[0.0, 1.0, 0.0]]))
    torch.testing.assert_close(torch.stack([depth, opacity, to_far]), torch.tensor([[2.0], [1.0], [2.0]]))


def test_a_faint_ray_has_its_depth_but_not_its_opacity_aware_depth():
    weights, t = torch.tensor([[0.0, 0.1, 0.0]]), torch.tensor([[1.0, 2.0, 3.0]])
    _, depth, _, to_far = composite(weights, t, torch.tensor([4.0]), None)
    torch.testing.assert_close(depth, torch.tensor([2.0]))
    torch.testing.assert_close(to_far, torch.tensor([0.1 * 2 + 0.9 * 4]))


def test_an_empty_ray_has_a_depth_inside_its_samples():
    _, depth, opacity, to_far = composite(torch.zeros(1, 3), torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([4.0]), None)
    assert 1.0 <= depth.item() <= 3.0
    assert opacity.item() == 0.0
    assert to_far.item() == 4.0
