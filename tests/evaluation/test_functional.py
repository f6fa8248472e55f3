"""Metrics against their definitions."""

import math

import pytest
import torch

from ponderv2.evaluation import DepthErrors, depth_errors, psnr, ssim


def test_psnr_of_a_tenth_is_twenty_decibels():
    assert psnr(0.01) == pytest.approx(20.0, abs=1e-4)
    assert psnr(0.0) == math.inf


def test_depth_errors_by_hand():
    rendered = torch.tensor([2.0, 9.0, 5.0, 100.0])
    target = torch.tensor([1.0, 10.0, 5.0, 0.0])
    metrics = depth_errors(rendered, target, target > 0).metrics()
    assert metrics["abs_rel"] == pytest.approx((1.0 + 0.1 + 0.0) / 3)
    assert metrics["rmse"] == pytest.approx(math.sqrt(2 / 3))
    assert metrics["delta1"] == pytest.approx(2 / 3)


def test_sums_of_parts_are_the_errors_of_the_whole():
    rendered, target = torch.rand(50) * 10 + 1, torch.rand(50) * 10 + 1
    mask = torch.ones(50, dtype=torch.bool)
    parts = depth_errors(rendered[:20], target[:20], mask[:20]) + depth_errors(rendered[20:], target[20:], mask[20:])
    assert parts.metrics() == pytest.approx(depth_errors(rendered, target, mask).metrics())


def test_no_ray_is_not_a_number_rather_than_a_good_result():
    assert all(math.isnan(v) for v in DepthErrors(0.0, 0.0, 0.0, 0).metrics().values())


def test_ssim_is_one_for_equal_images_and_falls_with_noise():
    image = torch.rand(32, 40, 3)
    assert ssim(image, image) == pytest.approx(1.0)
    assert ssim(image, (image + 0.2 * torch.randn_like(image)).clamp(0, 1)) < 0.9


def test_an_image_smaller_than_the_window_is_one_clear_error():
    with pytest.raises(ValueError, match=r"\(7, 13\); lower the stride"):
        ssim(torch.rand(7, 13, 3), torch.rand(7, 13, 3))
