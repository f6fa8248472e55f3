"""Every recipe loads, is documented, builds, and survives being written out and read again."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from torch import nn

from ponderv2.engine import load_config
from ponderv2.registry import MODELS

CONFIGS = Path(__file__).parents[2] / "configs"
RECIPES = sorted(p for p in CONFIGS.rglob("*.py") if "_base_" not in p.parts)
DETECTORS = [p for p in RECIPES if p.stem.startswith("uvtr_")]
PRETRAINING = [p for p in RECIPES if p.stem.startswith("ponderv2_")]


def _load(path: Path) -> Config:
    config = load_config(path)
    # Hub weights need a network; everything else of a full-size model is built as it is.
    encoder = config.model.encoder
    for part in (encoder, encoder.get("camera", {})):
        if part.get("img_backbone", {}).get("weights"):
            part.img_backbone.weights = None
    return config


def _build(config: dict) -> nn.Module:
    """A model without memory for its weights: full-size ones need no time that way."""
    with torch.device("meta"):
        return MODELS.build(config)


def test_every_recipe_is_one_of_pre_training_or_detection():
    assert set(DETECTORS) | set(PRETRAINING) == set(RECIPES)
    assert len(PRETRAINING) >= 6
    assert len(DETECTORS) >= 18


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_recipe_says_what_it_is_in_its_first_lines(path):
    assert path.read_text().startswith('"""')
    assert len(path.read_text().splitlines()) <= 130


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_recipe_builds_with_an_optimiser_whose_keys_all_match(path):
    config = _load(path)
    model = _build(config.model)
    build_optim_wrapper(model, config.optim_wrapper)
    names = [name for name, _ in model.named_parameters()]
    for key in config.optim_wrapper.get("paramwise_cfg", {}).get("custom_keys", {}):
        assert any(key in name for name in names), f"{key} matches no parameter"


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_recipe_survives_writing_and_reading(path, tmp_path):
    config = _load(path)
    config.dump(tmp_path / "dumped.py")
    again = Config.fromfile(str(tmp_path / "dumped.py"))
    assert _build(again.model).state_dict().keys() == _build(config.model).state_dict().keys()


@pytest.mark.parametrize("path", PRETRAINING, ids=lambda p: p.stem)
def test_training_never_sees_a_held_out_ray_and_evaluation_only_those_or_other_frames(path):
    config = _load(path)
    splits = {}
    for part in ("train", "val", "test"):
        pipeline = config[f"{part}_dataloader"].dataset.pipeline
        (rays,) = [step for step in pipeline if step["type"].__name__ == "SampleRays"]
        splits[part] = rays.get("split", "train")
    same_data = config.train_dataloader.dataset.ann_file == config.test_dataloader.dataset.ann_file
    assert splits["train"] == "train"
    assert splits["test"] == ("heldout" if same_data else "all")


def _encoder_shapes(config: Config, prefix: str = "") -> dict[str, torch.Size]:
    return {prefix + name: value.shape for name, value in _build(config.model.encoder).state_dict().items()}


def _start_of(config: Config, path: Path) -> dict[str, torch.Size]:
    """Shapes by name of what `init_cfg` loads: of the pre-training it names, or of the merged detectors."""
    source = Path(config.model.init_cfg.checkpoint)
    if source.parent.name != "work_dirs":
        (recipe,) = [p for p in PRETRAINING if p.stem == source.parent.name]
        return _encoder_shapes(_load(recipe))
    scratch = "_scratch" if "scratch" in path.stem else ""
    share = "_fifth" if "fifth" in path.stem else ""
    folder = CONFIGS / "detection"
    camera = folder / f"uvtr_camera_convnext_s_vs0p075_4xb1_24e_nuscenes{scratch}.py"
    lidar = folder / f"uvtr_lidar_voxelnet_vs0p075_4xb4_20e_nuscenes{share}{scratch}.py"
    return _encoder_shapes(_load(camera), "camera.") | _encoder_shapes(_load(lidar), "lidar.")


@pytest.mark.parametrize("path", DETECTORS, ids=lambda p: p.stem)
def test_what_a_detector_starts_from_covers_its_encoder_but_for_what_it_says_is_new(path):
    config = _load(path)
    if config.model.init_cfg is None:
        assert "scratch" in path.stem
        return
    own, start = _encoder_shapes(config), _start_of(config, path)
    new = tuple(config.model.init_cfg.get("new", ()))
    assert {k: v for k, v in own.items() if not k.startswith(new)} == start
    for part in new:
        assert any(k.startswith(part) for k in own)


@pytest.mark.parametrize("path", DETECTORS, ids=lambda p: p.stem)
def test_a_detector_drops_boxes_outside_its_volume_and_is_scored_on_other_frames(path):
    config = _load(path)
    encoder = config.model.encoder
    grid = encoder.get("camera", encoder).grid
    train = config.train_dataloader.dataset
    train = train.get("dataset", train)
    ranges = [step.point_cloud_range for step in train.pipeline if "point_cloud_range" in step]
    assert ranges == [grid.point_cloud_range]
    test = config.test_dataloader.dataset
    assert test.ann_file not in train.ann_file
    assert config.test_evaluator.ann_file == test.ann_file
    assert test.get("load_interval", 1) == 1
