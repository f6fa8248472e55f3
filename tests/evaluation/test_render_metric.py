"""RenderMetric over samples as the pretrainer gives them."""

import pytest
import torch

from ponderv2.evaluation import RenderMetric


def _sample(error=0.1, image=False):
    depth = torch.tensor([[4.0, 8.0, 0.0]])
    rgb = torch.rand(1, 3, 3)
    sample = {
        "valid": torch.tensor([[True, True, True]]),
        "target_depth": depth,
        "depth": depth * (1 + error),
        "rgb": rgb,
        "target_rgb": rgb + error,
    }
    if image:
        sample |= {"image": torch.rand(2, 16, 16, 3)}
        sample |= {"target_image": sample["image"].clone()}
    return sample


def test_psnr_is_averaged_over_samples_and_depth_over_rays():
    metric = RenderMetric()
    metric.process({}, [_sample(0.1), _sample(0.01)])
    metrics = metric.evaluate(2)
    assert metrics["render/psnr"] == pytest.approx((20 + 40) / 2, abs=1e-3)
    assert metrics["render/abs_rel"] == pytest.approx((0.1 + 0.01) / 2, rel=1e-4)


def test_guesses_are_those_of_the_median_depth_and_the_mean_colour():
    sample = _sample()
    sample["target_rgb"] = torch.tensor([[[0.0, 0.0, 0.0], [0.2, 0.2, 0.2], [0.4, 0.4, 0.4]]])
    sample["rgb"] = sample["target_rgb"]
    metric = RenderMetric()
    metric.process({}, [sample])
    metrics = metric.evaluate(1)
    # The median of 4 and 8 m is 4: no error for the one, half of the distance for the other.
    assert metrics["render/guess_abs_rel"] == pytest.approx(0.25)
    mse = (0.2**2 + 0 + 0.2**2) / 3
    assert metrics["render/guess_psnr"] == pytest.approx(-10 * torch.log10(torch.tensor(mse)).item(), abs=1e-3)


def test_whole_images_give_ssim():
    metric = RenderMetric()
    metric.process({}, [_sample(image=True)])
    metrics = metric.evaluate(1)
    assert metrics["render/ssim"] == pytest.approx(1.0)


def test_invalid_rays_have_no_influence():
    sample = _sample()
    sample["valid"][0, 0] = False
    sample["rgb"][0, 0] = float("nan")
    sample["depth"][0, 0] = float("nan")
    metric = RenderMetric()
    metric.process({}, [sample])
    assert metric.evaluate(1)["render/abs_rel"] == pytest.approx(0.1, rel=1e-4)


def test_no_valid_ray_at_all_is_an_error():
    sample = _sample()
    sample["valid"][:] = False
    metric = RenderMetric()
    metric.process({}, [sample])
    with pytest.raises(ValueError, match="no ray"):
        metric.evaluate(1)


def test_classes_are_scored_beside_the_most_frequent_one_over_all_samples():
    samples = []
    for target, predicted in (([0, 0, 1], [0, 1, 1]), ([0, -1, 2], [0, 0, 0])):
        logits = torch.nn.functional.one_hot(torch.tensor([predicted]), 4).float()
        changes = {"target_depth": torch.full((1, 3), 4.0), "target_semantic": torch.tensor([target])}
        samples.append(_sample() | changes | {"class_logits": logits})
    metric = RenderMetric()
    metric.process({}, samples)
    metrics = metric.evaluate(2)
    assert metrics["render/semantic_accuracy"] == pytest.approx(3 / 5)
    # Class 0: two of (three true, three predicted); 1: one of (one, two); 2: none; 3 does not occur.
    assert metrics["render/semantic_miou"] == pytest.approx((2 / 4 + 1 / 2 + 0) / 3)
    assert metrics["render/guess_semantic_accuracy"] == pytest.approx(3 / 5)
    assert metrics["render/guess_semantic_miou"] == pytest.approx((3 / 5 + 0 + 0) / 3)


def test_intensities_are_scored_beside_the_median_of_each_sample():
    samples = []
    for target, rendered in (([0.1, 0.2, 0.6], [0.1, 0.4, 0.5]), ([0.5, 0.0, 0.9], [0.5, 1.0, 0.7])):
        depth = torch.tensor([[4.0, 4.0, 4.0]]) if target[1] else torch.tensor([[4.0, 0.0, 4.0]])
        intensities = {"target_intensity": torch.tensor([target]), "intensity": torch.tensor([rendered])}
        samples.append(_sample() | {"target_depth": depth} | intensities)
    metric = RenderMetric()
    metric.process({}, samples)
    metrics = metric.evaluate(2)
    # Of the second sample the ray without a return does not count, and of two values the lower is the median.
    assert metrics["render/intensity_mae"] == pytest.approx((0.0 + 0.2 + 0.1 + 0.0 + 0.2) / 5)
    assert metrics["render/guess_intensity_mae"] == pytest.approx((0.1 + 0.0 + 0.4 + 0.0 + 0.4) / 5)


def test_without_a_ray_of_a_class_there_is_no_score_of_classes():
    metric = RenderMetric()
    none = {"target_semantic": torch.full((1, 3), -1), "class_logits": torch.rand(1, 3, 4)}
    metric.process({}, [_sample() | none])
    assert not any("semantic" in name for name in metric.evaluate(1))


def test_samples_in_which_no_two_cameras_see_a_place_do_not_count_for_views():
    samples = [_sample() | {"view_cosine": torch.tensor(cosine)} for cosine in (0.8, float("nan"), 0.4)]
    metric = RenderMetric()
    metric.process({}, [sample | {"frozen_view_cosine": torch.tensor(float("nan"))} for sample in samples])
    metrics = metric.evaluate(3)
    assert metrics["render/view_cosine"] == pytest.approx(0.6)
    assert "render/frozen_view_cosine" not in metrics
