"""Recipes with rendered classes: the plain recipe, and labels of the frames that fine-tuning has."""

import pytest

from ponderv2.datasets import LIDARSEG_CLASSES, LoadPointLabels
from ponderv2.engine import load_config, resolved_recipe
from tests.configs.test_configs import CONFIGS, _build, _encoder_shapes

FULL_SIZE = "pretrain/ponderv2_lidar_unet"
PAIRS = {
    "tiny/ponderv2_lidar_unet_semantic_synthetic": "tiny/ponderv2_lidar_unet_synthetic",
    f"{FULL_SIZE}_semantic_vs0p1_4xb4_24e_nuscenes": f"{FULL_SIZE}_vs0p1_4xb4_24e_nuscenes",
}


@pytest.mark.parametrize(("name", "plain"), PAIRS.items(), ids=lambda name: name.split("/")[-1])
def test_the_exported_encoder_is_that_of_the_plain_recipe_and_so_is_all_but_classes(name, plain):
    semantic, plain = (load_config(CONFIGS / f"{part}.py") for part in (name, plain))
    assert _encoder_shapes(semantic) == _encoder_shapes(plain)
    own, other = (_build(config.model.head).state_dict() for config in (semantic, plain))
    assert all("classes." in key or "semantic_mlp." in key for key in own.keys() - other.keys())
    assert other.keys() <= own.keys()
    changed = {key for key, value in resolved_recipe(semantic).items() if str(plain.get(key)) != str(value)}
    assert {key for key in changed if not key.endswith(("rays", "dataset"))} == {
        *("model", "train_dataloader", "val_dataloader", "test_dataloader")
    }
    changes = dict(semantic=None, semantic_layers=None)
    assert dict(semantic.model.head, objective=None, **changes) == dict(plain.model.head, objective=None, **changes)


@pytest.mark.parametrize("name", PAIRS, ids=lambda name: name.split("/")[-1])
def test_rays_have_classes_right_from_labels(name):
    config = load_config(CONFIGS / f"{name}.py")
    assert config.model.head.semantic.classes == LIDARSEG_CLASSES
    assert config.model.head.objective.semantic == 0.1
    for part in ("train", "val", "test"):
        pipeline = config[f"{part}_dataloader"].dataset.pipeline
        kinds = [step["type"].__name__ for step in pipeline]
        assert pipeline[kinds.index("LoadLidarSweeps") + 1]["type"] is LoadPointLabels
        assert pipeline[kinds.index("SampleCameraRays")].semantic is True


def test_the_tiny_recipe_has_the_labels_of_finetuning_with_a_tenth_and_all_frames():
    train = load_config(CONFIGS / "tiny" / "ponderv2_lidar_unet_semantic_synthetic.py").train_dataloader.dataset
    tenth = load_config(CONFIGS / "segmentation" / "lidarseg_unet_vs0p05_4xb3_50e_nuscenes_10pct.py")
    labels = tenth.train_dataloader.dataset
    for key in ("fraction", "fraction_by", "fraction_seed"):
        default = {"fraction_by": "frames", "fraction_seed": 0}.get(key)
        assert train.get(key, default) == labels.get(key, default)
    assert train.keep_unlabeled is True
