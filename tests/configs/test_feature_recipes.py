"""Recipes with rendered features: the plain recipe and a feature channel, and what their parts have to agree on."""

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS

from ponderv2.datasets import DigestImages, LoadCameras
from ponderv2.engine import CollapseAlarmHook, FitFeatureReductionHook, load_config, resolved_recipe
from ponderv2.models import ImageFeaturePretrainer
from ponderv2.teachers import ConsensusImageBranch
from tests.configs.test_configs import CONFIGS, _build, _encoder_shapes

PLAIN = "tiny/ponderv2_lidar_unet_synthetic"
TINY = {mode: f"tiny/ponderv2_lidar_unet_{mode}_synthetic" for mode in ("distil", "consensus")}
FULL = {mode: f"pretrain/ponderv2_lidar_minkunet_{mode}_vs0p1_4xb4_24e_nuscenes" for mode in TINY}
KEYPOINTS = "tiny/ponderv2_lidar_unet_keypoints_synthetic"
RECIPES = [*TINY.values(), *FULL.values()]


@pytest.mark.parametrize("name", TINY.values(), ids=TINY)
def test_a_tiny_recipe_is_the_plain_one_with_a_feature_channel(name):
    features, plain = (load_config(CONFIGS / f"{part}.py") for part in (name, PLAIN))
    assert _encoder_shapes(features) == _encoder_shapes(plain)
    own, other = (_build(config.model.head).state_dict() for config in (features, plain))
    assert {key.split(".")[-3] for key in own.keys() - other.keys() if "layers" not in key} <= {
        *("features", "feature_mlp", "field", "head")
    }
    assert other.keys() <= own.keys()
    changed = {key for key, value in resolved_recipe(features).items() if str(plain.get(key)) != str(value)}
    assert changed - {key for key in changed if "_dataset" in key or "rays" in key} <= {
        *("model", "train_dataloader", "val_dataloader", "test_dataloader", "custom_hooks"),
        *(("optim_wrapper", "param_scheduler") if "consensus" in name else ()),
    }
    assert dict(features.model.head.objective) == {**plain.model.head.objective, "feature": 4.0}


@pytest.mark.parametrize("name", RECIPES, ids=lambda name: name.split("/")[1])
def test_channels_agree_pictures_are_hashed_as_they_are_and_hooks_are_there(name):
    config = load_config(CONFIGS / f"{name}.py")
    model = _build(config.model)
    assert isinstance(model, ImageFeaturePretrainer)
    assert model.image_branch.channels == config.model.head.feature.channels
    for part in ("train", "val", "test"):
        kinds = [step["type"] for step in config[f"{part}_dataloader"].dataset.pipeline]
        assert kinds[:2] == [LoadCameras, DigestImages]
        assert not any("Image" in kind.__name__ or "MultiView" in kind.__name__ for kind in kinds[2:])
    hooks = {hook["type"] for hook in config.custom_hooks}
    consensus = config.model.image_branch.type is ConsensusImageBranch
    assert FitFeatureReductionHook in hooks
    assert (CollapseAlarmHook in hooks) == consensus == ("consensus" in name)
    assert config.train_dataloader.dataset.get("history", 0) == int(consensus)


def _rates(name: str) -> dict[str, list[float]]:
    """The rate of each parameter of a toy in place of the model, at every step."""
    config = load_config(CONFIGS / f"{name}.py")
    toy = torch.nn.ModuleDict({"encoder": torch.nn.Linear(1, 1), "image_branch": torch.nn.ModuleDict()})
    toy.image_branch["student"] = torch.nn.Linear(1, 1)
    wrapper = build_optim_wrapper(toy, config.optim_wrapper)
    steps = config.train_cfg.max_iters
    schedulers = [PARAM_SCHEDULERS.build(dict(part, optimizer=wrapper)) for part in config.param_scheduler]
    parameters = {"encoder": toy.encoder.weight, "student": toy.image_branch["student"].weight}
    groups = {
        key: next(group for group in wrapper.param_groups if any(own is p for own in group["params"]))
        for key, p in parameters.items()
    }
    found = {key: [] for key in groups}
    for _ in range(steps):
        for key, group in groups.items():
            found[key].append(group["lr"])
        wrapper.step()
        for scheduler in schedulers:
            scheduler.step()
    return found


def test_the_tiny_student_learns_at_a_hundredth_of_the_rate_of_the_rest_which_is_that_of_the_plain_recipe():
    plain, consensus = _rates(PLAIN), _rates(TINY["consensus"])
    assert consensus["encoder"] == pytest.approx(plain["encoder"], rel=0.02, abs=5e-6)
    assert max(consensus["encoder"]) == pytest.approx(3e-3, rel=1e-3)
    assert consensus["student"] == pytest.approx([rate / 100 for rate in consensus["encoder"]], rel=1e-6)


def test_the_probe_of_minkunet_has_the_encoder_of_the_pre_trainings():
    probe = load_config(CONFIGS / "segmentation" / "lidarseg_minkunet_vs0p05_4xb3_50e_nuscenes_linear_probe.py")
    for name in FULL.values():
        assert _encoder_shapes(load_config(CONFIGS / f"{name}.py")) == _encoder_shapes(probe)
    assert probe.model.freeze_encoder is True


def test_the_recipe_of_key_points_is_distil_with_them_and_the_key_frame_before_alone():
    keyed, plain = (load_config(CONFIGS / f"{part}.py") for part in (KEYPOINTS, TINY["distil"]))
    assert keyed.model.pop("keypoints").max_points <= 512
    assert keyed.train_dataloader.dataset.pop("history") == 1
    names = {name for name in plain if not name.startswith("_")}
    assert {name for name in names if str(keyed.get(name)) != str(plain[name])} == {"train_dataset"} & names
