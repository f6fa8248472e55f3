"""Every recipe loads, is documented, builds, and survives being written out and read again."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper

from ponderv2.engine import load_config
from ponderv2.registry import MODELS

CONFIGS = Path(__file__).parents[2] / "configs"
RECIPES = sorted(p for p in CONFIGS.rglob("*.py") if "_base_" not in p.parts)


def _load(path: Path) -> Config:
    config = load_config(path)
    # Hub weights need a network; everything else of a full-size model is built as it is.
    encoder = config.model.encoder
    for part in (encoder, encoder.get("camera", {})):
        if part.get("img_backbone", {}).get("weights"):
            part.img_backbone.weights = None
    return config


def test_there_are_recipes():
    assert len(RECIPES) >= 2


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_recipe_says_what_it_is_in_its_first_lines(path):
    assert path.read_text().startswith('"""')
    assert len(path.read_text().splitlines()) <= 130


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_recipe_builds_with_an_optimiser_whose_keys_all_match(path):
    config = _load(path)
    model = MODELS.build(config.model)
    build_optim_wrapper(model, config.optim_wrapper)
    names = [name for name, _ in model.named_parameters()]
    for key in config.optim_wrapper.get("paramwise_cfg", {}).get("custom_keys", {}):
        assert any(key in name for name in names), f"{key} matches no parameter"


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_recipe_survives_writing_and_reading(path, tmp_path):
    config = _load(path)
    config.dump(tmp_path / "dumped.py")
    again = Config.fromfile(str(tmp_path / "dumped.py"))
    assert MODELS.build(again.model).state_dict().keys() == MODELS.build(config.model).state_dict().keys()


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
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
