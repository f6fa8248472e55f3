"""An encoder goes from pre-training to a detector by its prefix, whole or not at all."""

import logging

import pytest
import torch
from mmdet.models.losses import L1Loss
from mmengine.logging import MMLogger
from torch import nn

from ponderv2.checkpoints import export_encoder, load_encoder_weights, read_encoder_weights
from ponderv2.errors import UserError
from ponderv2.lifting import DeformableLift
from ponderv2.models import VolumeDetector
from ponderv2.registry import MODELS
from tests.factories.camera_models import model_config
from tests.factories.lidar_models import fusion_model_config


class _Detector(nn.Module):
    """An encoder and anything else."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(2, 2)


def _encoder(**changes) -> nn.Module:
    return MODELS.build(model_config()["encoder"] | changes)


@pytest.fixture
def pretrained(tmp_path):
    """A pre-trained model, its checkpoint and its exported encoder."""
    torch.manual_seed(3)
    config = model_config()
    model = MODELS.build(config)
    torch.save({"meta": {}, "state_dict": model.state_dict()}, tmp_path / "iter_1.pth")
    export_encoder(model.encoder, tmp_path / "encoder.safetensors", config["encoder"], config["data_preprocessor"])
    return model, tmp_path


@pytest.mark.parametrize("name", ["encoder.safetensors", "iter_1.pth"])
def test_a_checkpoint_and_an_exported_encoder_cover_every_key(pretrained, name, caplog):
    source, folder = pretrained
    detector = _Detector(_encoder())
    head = detector.head.weight.clone()
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.INFO, logger=logger.name):
        load_encoder_weights(detector, folder / name)
    logger.removeHandler(caplog.handler)
    own = detector.encoder.state_dict()
    assert own.keys() == source.encoder.state_dict().keys()
    assert all(torch.equal(own[k], v) for k, v in source.encoder.state_dict().items())
    assert torch.equal(detector.head.weight, head)
    backbone = len(source.encoder.img_backbone.state_dict())
    row = next(line for line in caplog.text.splitlines() if "encoder.img_backbone" in line)
    assert [int(v) for v in row.split() if v.isdigit()][:1] == [backbone]


def test_convolutions_that_fine_tuning_adds_start_new_only_when_said_so(pretrained):
    source, folder = pretrained
    detector = _Detector(_encoder(num_convs=1))
    before = {k: v.clone() for k, v in detector.state_dict().items()}
    with pytest.raises(ValueError, match=r"encoder\.convs: \d+ missing, the first encoder\.convs\.0"):
        load_encoder_weights(detector, folder / "iter_1.pth")
    assert all(torch.equal(detector.state_dict()[k], v) for k, v in before.items())
    load_encoder_weights(detector, folder / "iter_1.pth", new=("convs",))
    assert torch.equal(detector.encoder.input_proj.weight, source.encoder.input_proj.weight)
    assert torch.equal(detector.state_dict()["encoder.convs.0.conv.weight"], before["encoder.convs.0.conv.weight"])


def test_a_part_that_does_not_exist_cannot_start_new(pretrained):
    _, folder = pretrained
    with pytest.raises(ValueError, match="no part 'view_trans'"):
        load_encoder_weights(_Detector(_encoder()), folder / "iter_1.pth", new=("view_trans",))


def test_image_backbone_and_neck_alone_go_to_an_encoder_with_another_lift(pretrained):
    source, folder = pretrained
    lift = dict(type=DeformableLift, channels=8, size=(24, 24, 1), num_levels=2, num_heads=2)
    grid = dict(model_config()["encoder"]["grid"], size=(24, 24, 1))
    detector = _Detector(_encoder(depth_net=None, lift=lift, grid=grid))
    before = {k: v.clone() for k, v in detector.encoder.state_dict().items()}
    taken = ("img_backbone", "img_neck")
    load_encoder_weights(detector, folder / "encoder.safetensors", parts=taken)
    for name, value in detector.encoder.state_dict().items():
        expected = source.encoder.state_dict() if name.split(".")[0] in taken else before
        assert torch.equal(value, expected[name]), name
    for parts, new, match in (
        (("lift",), (), "the file has no part 'lift', only depth_net, img_backbone, img_neck, input_proj"),
        (("img_back",), (), "the encoder has no part 'img_back', only"),
        (taken, ("lift",), "does not go with parts"),
    ):
        with pytest.raises(UserError, match=match):
            load_encoder_weights(detector, folder / "encoder.safetensors", new=new, parts=parts)


def test_another_encoder_is_refused_with_the_first_key_that_differs(pretrained):
    _, folder = pretrained
    wider = model_config()["encoder"]
    wider["depth_net"]["num_bins"] = 32
    with pytest.raises(ValueError, match=r"depth_net: 2 of another shape.*\(16, 8, 1, 1\) instead of \(32, 8, 1, 1\)"):
        load_encoder_weights(_Detector(MODELS.build(wider)), folder / "iter_1.pth")
    with pytest.raises(ValueError, match="not of this encoder"):
        load_encoder_weights(_Detector(MODELS.build(fusion_model_config()["encoder"])), folder / "iter_1.pth")


def test_a_checkpoint_without_an_encoder_names_its_first_key(tmp_path):
    torch.save({"meta": {}, "state_dict": {"backbone.weight": torch.ones(1)}}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"starts with 'encoder\.', the first is backbone\.weight"):
        read_encoder_weights(tmp_path / "a.pth")


def test_a_detector_loads_its_encoder_when_its_weights_are_initialized(pretrained):
    source, folder = pretrained
    model = model_config()
    detector = VolumeDetector(
        model["encoder"],
        head=dict(type=L1Loss),
        data_preprocessor=model["data_preprocessor"],
        init_cfg=dict(checkpoint=str(folder / "encoder.safetensors")),
    )
    detector.init_weights()
    own = detector.encoder.state_dict()
    assert all(torch.equal(own[k], v) for k, v in source.encoder.state_dict().items())


def test_init_cfg_names_the_keys_it_does_not_know():
    model = model_config()
    with pytest.raises(ValueError, match="checkpoint, new, parts and head, got"):
        VolumeDetector(model["encoder"], head=dict(type=L1Loss), init_cfg=dict(type="Pretrained", path="a"))
