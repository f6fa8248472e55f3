"""Losses: masked means in the right units."""

import pytest
import torch

from ponderv2.rendering import color_loss, depth_loss


def test_color_loss_is_the_mean_absolute_difference_over_rays_and_channels():
    rendered, target = torch.rand(2, 3, 4, 3), torch.rand(2, 3, 4, 3)
    mask = torch.ones(2, 3, 4, dtype=torch.bool)
    torch.testing.assert_close(color_loss(rendered, target, mask), (rendered - target).abs().mean())


def test_squared_colour_loss_is_what_psnr_measures_and_least_at_the_mean():
    target = torch.tensor([[[0.0] * 3, [0.0] * 3, [0.9] * 3]])
    mask = torch.ones(1, 3, dtype=torch.bool)
    losses = {
        mode: {c: color_loss(torch.full((1, 3, 3), c), target, mask, mode).item() for c in (0.0, 0.3, 0.9)}
        for mode in ("l1", "l2")
    }
    assert losses["l2"][0.3] == pytest.approx((0.09 + 0.09 + 0.36) / 3)
    assert min(losses["l2"], key=losses["l2"].get) == 0.3
    assert min(losses["l1"], key=losses["l1"].get) == 0.0


def test_an_unknown_difference_of_colours_is_refused():
    with pytest.raises(ValueError, match=r"color_mode: expected one of \['l1', 'l2'\], got 'l3'"):
        color_loss(torch.zeros(1, 2, 3), torch.zeros(1, 2, 3), torch.ones(1, 2, dtype=torch.bool), "l3")


def test_a_metre_of_depth_costs_the_scene_scale():
    loss = depth_loss(torch.full((1, 2), 6.0), torch.full((1, 2), 5.0), torch.ones(1, 2, dtype=torch.bool), 1 / 54)
    torch.testing.assert_close(loss, torch.tensor(1 / 54))


def test_rays_that_do_not_count_have_no_influence_even_when_not_finite():
    rendered = torch.tensor([[1.0, float("nan"), 3.0]], requires_grad=True)
    loss = depth_loss(rendered, torch.zeros(1, 3), torch.tensor([[True, False, True]]), 1.0)
    loss.backward()
    torch.testing.assert_close(loss.detach(), torch.tensor(2.0))
    torch.testing.assert_close(rendered.grad, torch.tensor([[0.5, 0.0, 0.5]]))


def test_no_ray_gives_zero():
    assert depth_loss(torch.ones(1, 3), torch.zeros(1, 3), torch.zeros(1, 3, dtype=torch.bool), 1.0) == 0


def test_a_batch_is_the_mean_of_its_samples_however_many_rays_each_has():
    rendered, target = torch.rand(2, 5), torch.rand(2, 5)
    mask = torch.tensor([[True] * 5, [True, False, False, False, False]])
    both = depth_loss(rendered, target, mask, 1.0)
    each = [depth_loss(rendered[b : b + 1], target[b : b + 1], mask[b : b + 1], 1.0) for b in range(2)]
    torch.testing.assert_close(both, (each[0] + each[1]) / 2)
