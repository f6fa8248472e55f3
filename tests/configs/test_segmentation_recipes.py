"""Recipes of segmentation: what they start from, what they train, what they are scored on, and their schedules."""

import ast
import math
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from ponderv2.datasets import GridSampling, LoadPointLabels
from ponderv2.engine import PrecisionOptimWrapper, load_config, resolved_recipe, with_tta
from ponderv2.errors import UserError
from ponderv2.models import SegmentationTTAModel
from tests.configs.test_configs import CONFIGS, PRETRAINING, SEGMENTORS, _build, _encoder_shapes, _load

PUBLISHED = CONFIGS / "segmentation" / "lidarseg_unet_vs0p05_4xb3_50e_nuscenes.py"
FUSION = {
    "lidarseg_fusion_synthetic": ("ponderv2_camera_synthetic", "ponderv2_lidar_unet_synthetic"),
    "lidarseg_fusion_convnext_s_vs0p05_4xb2_50e_nuscenes": (
        "ponderv2_camera_convnext_s_pull_vs0p075_4xb1_12e_nuscenes",
        "ponderv2_lidar_unet_vs0p1_4xb4_24e_nuscenes",
    ),
}


def _pretrained(name: str, prefix: str = "") -> dict[str, torch.Size]:
    (recipe,) = [p for p in PRETRAINING if p.stem == name]
    return _encoder_shapes(_load(recipe), prefix)


@pytest.mark.parametrize("path", SEGMENTORS, ids=lambda p: p.stem)
def test_a_segmentor_starts_from_an_encoder_that_covers_its_own_key_by_key(path):
    config = _load(path)
    if "minkunet" in path.stem and "probe" not in path.stem:
        assert config.model.init_cfg is None
    elif path.stem in FUSION:
        camera, lidar = FUSION[path.stem]
        assert _encoder_shapes(config) == _pretrained(camera, "camera.") | _pretrained(lidar, "lidar.")
    else:
        assert _encoder_shapes(config) == _pretrained(Path(config.model.init_cfg.checkpoint).parent.name)
    assert load_config(path, scratch=True).model.init_cfg is None


@pytest.mark.parametrize("path", SEGMENTORS, ids=lambda p: p.stem)
def test_the_baseline_of_a_segmentor_differs_in_its_start_alone(path):
    pretrained, baseline = load_config(path), load_config(path, scratch=True)
    for config in (pretrained, baseline):
        config.model.init_cfg = None
        if "fusion" in path.stem:
            config.model.encoder.camera.img_backbone.pop("weights", None)
    for name, value in resolved_recipe(pretrained).items():
        assert str(baseline[name]) == str(value), name


@pytest.mark.parametrize("path", SEGMENTORS, ids=lambda p: p.stem)
def test_a_segmentor_is_scored_at_every_point_of_other_frames(path):
    config = _load(path)
    train, test = (config[f"{part}_dataloader"].dataset for part in ("train", "test"))
    assert test.ann_file not in train.ann_file
    assert config.test_evaluator.ann_file == test.ann_file
    assert config.test_evaluator.submission_dir
    assert test.get("fraction", 1.0) == 1.0
    for dataset, evaluation in ((train, False), (test, True)):
        (labels,) = [step for step in dataset.pipeline if step["type"] is LoadPointLabels]
        assert labels.get("evaluation", False) == evaluation
        grids = [step.cell_size for step in dataset.pipeline if step["type"] is GridSampling]
        assert grids == ([0.05] if path.parent.name == "segmentation" else [])


def test_full_size_recipes_train_in_the_precision_that_the_device_is_fast_in_and_tiny_ones_in_float32():
    for path in SEGMENTORS:
        wrapper = _load(path).optim_wrapper
        full_size = path.parent.name == "segmentation"
        assert (wrapper.type is PrecisionOptimWrapper, wrapper.get("precision")) == (
            (True, "auto") if full_size else (False, None)
        ), path.stem


@pytest.mark.parametrize("path", SEGMENTORS, ids=lambda p: p.stem)
def test_a_recipe_says_with_which_loss_it_trains(path):
    losses = _build(_load(path).model).head.losses
    assert (losses.cross_entropy, losses.lovasz) in ((1, 0), (1, 1))
    said = "Loss: cross entropy and Lovász." if losses.lovasz else "Loss: cross entropy."
    assert f"\n{said}" in ast.get_docstring(ast.parse(path.read_text()))


def test_a_linear_probe_trains_a_linear_classifier_and_a_decoder_probe_the_way_up():
    for folder in ("segmentation/lidarseg_unet_vs0p05_4xb3_50e_nuscenes", "tiny/lidarseg_unet_synthetic"):
        linear, decoder = (
            _build(_load(CONFIGS / f"{folder}_{probe}.py").model) for probe in ("linear_probe", "decoder_probe")
        )
        assert {n for n, p in linear.named_parameters() if p.requires_grad} == {
            "head.classifier.weight",
            "head.classifier.bias",
        }
        trained = {n.split(".")[2] for n, p in decoder.named_parameters() if p.requires_grad and n[:7] == "encoder"}
        assert trained == {"up", "decode"}


def test_fewer_labels_are_a_tenth_and_a_hundredth_of_the_frames_and_a_thousandth_of_the_points():
    found = {}
    for suffix in ("_10pct", "_1pct", "_weak"):
        data = _load(PUBLISHED.with_name(f"{PUBLISHED.stem}{suffix}.py")).train_dataloader.dataset
        found[suffix] = (data.fraction, data.fraction_by)
    assert found == {"_10pct": (0.1, "frames"), "_1pct": (0.01, "frames"), "_weak": (0.001, "points")}


def test_the_published_schedule_peaks_at_4_percent_and_ends_at_a_thousandth():
    config = Config.fromfile(str(PUBLISHED))
    (part,) = config.param_scheduler
    part = dict(part)
    kind = part.pop("type")
    assert part.pop("convert_to_iter_based")
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=config.optim_wrapper.optimizer.lr)
    scheduler = kind.build_iter_from_epoch(optimizer=optimizer, epoch_length=20, **part)
    rates = []
    for _ in range(config.train_cfg.max_epochs * 20):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates[0] == pytest.approx(2e-4)
    assert max(rates) == pytest.approx(2e-3, rel=1e-3)
    assert abs(rates.index(max(rates)) - 0.04 * len(rates)) <= 1
    assert rates[-1] == pytest.approx(2e-6, rel=0.05)
    assert config.optim_wrapper.optimizer.weight_decay == 5e-3
    assert config.auto_scale_lr.base_batch_size == 12
    rotation = next(step for step in config.train_dataloader.dataset.pipeline if "rotation" in step).rotation
    assert rotation == pytest.approx((-math.pi, math.pi))


@pytest.mark.parametrize("name", ["tiny/lidarseg_fusion_synthetic", "tiny/uvtr_fusion_synthetic"])
def test_a_recipe_without_augmentation_of_tests_names_the_parts_for_its_kind_of_model(name):
    config = load_config(CONFIGS / f"{name}.py")
    for key in ("tta_model", "tta_pipeline"):
        config.pop(key, None)
    kind = "segmentation" if "lidarseg" in name else "detection"
    with pytest.raises(UserError, match=rf"has no tta_model and no tta_pipeline; add _base_/tta_{kind}\.py"):
        with_tta(config)


def test_the_published_augmentation_of_tests_has_five_scales_with_and_without_both_flips():
    config = with_tta(load_config(PUBLISHED))
    (tta,) = [step for step in config.test_dataloader.dataset.pipeline if "transforms" in step]
    first, *rest = tta.transforms
    passes = {(step.scale, step.flip_x, step.flip_y) for step in first}
    assert passes == {((f, f), x, x) for f in (0.9, 0.95, 1.0, 1.05, 1.1) for x in (0.0, 1.0)}
    assert [step.type.__name__ for (step,) in rest] == ["GridSampling", "PackSensorInputs"]
    assert config.tta_model["type"] is SegmentationTTAModel
