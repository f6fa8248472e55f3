"""Configs of encoders become plain data and build the same encoder again; nothing else can be stored."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from torch import nn

from ponderv2.checkpoints import config_from_data, config_to_data
from ponderv2.checkpoints.encoder_config import build_encoder
from ponderv2.encoders import PonderConvNeXt
from ponderv2.encoders.sparse.row_norms import SparseBatchNorm
from ponderv2.engine import load_config
from ponderv2.registry import MODELS
from tests.factories.camera_models import model_config
from tests.factories.lidar_models import lidar_encoder_config

CONFIGS = Path(__file__).parents[2] / "configs"
RECIPES = sorted(p for p in CONFIGS.rglob("*.py") if p.relative_to(CONFIGS).parts[0] not in ("_base_", "interop"))


class Foreign(nn.Module):
    """A class that is on no list."""


class _Changed(PonderConvNeXt):
    """A class that takes the name of one that is on the list."""


_Changed.__name__ = "PonderConvNeXt"


def _stored(config: dict) -> dict:
    return config_to_data(config, "encoder", "encoder")


def _rebuilt(config: dict, device: str) -> nn.Module:
    data = json.loads(json.dumps(_stored(config), allow_nan=False))
    return build_encoder(config_from_data(data, "encoder", "encoder"), device, "encoder")


def _described(encoder: nn.Module) -> tuple:
    """What must be the same: modules with their settings, shapes by name, and what is trained."""
    shapes = {k: v.shape for k, v in encoder.state_dict().items()}
    return str(encoder), shapes, {k: v.requires_grad for k, v in encoder.named_parameters()}


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_the_encoder_of_every_recipe_is_built_again_from_its_stored_config(path):
    config = load_config(path)
    rebuilt = _rebuilt(config.model.encoder, "meta")
    for part in (config.model.encoder, config.model.encoder.get("camera", {})):
        # These need a network, and leave no trace in a module.
        part.get("img_backbone", {}).pop("weights", None)
    with torch.device("meta"):
        assert _described(MODELS.build(config.model.encoder)) == _described(rebuilt)


def test_a_recipe_that_was_written_out_and_read_again_stores_the_same_config(tmp_path):
    config = load_config(CONFIGS / "tiny" / "ponderv2_fusion_synthetic.py")
    config.dump(tmp_path / "dumped.py")
    dumped = Config.fromfile(str(tmp_path / "dumped.py"))
    assert isinstance(dumped.model.encoder.to_dict()["type"], str)
    assert _stored(dumped.model.encoder) == _stored(config.model.encoder)


def test_building_leaves_the_random_numbers_alone():
    state = torch.get_rng_state()
    _rebuilt(model_config()["encoder"], "cpu")
    assert torch.equal(torch.get_rng_state(), state)


def test_defaults_are_written_out_and_where_weights_start_from_is_not():
    config = model_config()["encoder"]
    config["img_backbone"]["weights"] = "facebook/convnext-small-224"
    config["init_cfg"] = dict(type="Pretrained", checkpoint="somewhere.pth")
    data = _stored(config)
    assert data["lift"] == {"type": "PullLift", "depth_range": [0.0, 32.0], "average_hits": False}
    assert "weights" not in json.dumps(data)
    assert "init_cfg" not in json.dumps(data)


def test_a_norm_may_be_a_class_of_the_list():
    norm = dict(type=SparseBatchNorm, eps=1e-2)
    config = lidar_encoder_config()
    config["pts_middle_encoder"]["norm_cfg"] = norm
    assert _stored(config)["pts_middle_encoder"]["norm_cfg"] == {"type": "SparseBatchNorm", "eps": 1e-2}
    rebuilt = _rebuilt(config, "cpu").pts_middle_encoder.stem.norm
    assert (type(rebuilt), rebuilt.eps) == (SparseBatchNorm, 1e-2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(type=Foreign), r"encoder\.type: .*Foreign.* cannot be stored.*expected CameraEncoder or LidarEncoder"),
        (dict(type="torch.nn.CameraEncoder"), r"encoder\.type: 'torch\.nn\.CameraEncoder' cannot be stored"),
        (dict(img_backbone=dict(type=_Changed)), r"encoder\.img_backbone\.type: .* cannot be stored"),
        (dict(img_backbone=PonderConvNeXt), r"encoder\.img_backbone: expected a config"),
        (dict(norm_cfg=dict(type=nn.BatchNorm3d)), r"encoder\.norm_cfg\.type: .*BatchNorm3d.*expected BN or BN1d"),
        (dict(num_convs=torch.tensor(1)), r"encoder\.num_convs: tensor\(1\) cannot be stored"),
        (dict(channels=float("nan")), r"encoder\.channels: expected a number of at most \d+, found nan"),
        (dict(lights="red"), r"encoder\.lights: CameraEncoder takes no such setting.*expected grid or img_backbone"),
    ],
)
def test_what_cannot_be_stored_is_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        _stored(model_config()["encoder"] | changes)
