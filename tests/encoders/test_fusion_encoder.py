"""The fusion encoder: the sum of two volumes, sensors dropped by sample, one error for what does not fit."""

from dataclasses import replace

import pytest
import torch
from mmengine.dataset import pseudo_collate

from ponderv2.datasets import LoadCameras, LoadLidarSweeps, PackSensorInputs, PonderNuScenesDataset
from ponderv2.encoders import FusionEncoder
from ponderv2.masking import InputMasking
from ponderv2.registry import MODELS
from tests.factories.camera_models import packed
from tests.factories.keyframe import INFO_NAME
from tests.factories.lidar_models import fusion_model_config, lidar_encoder_config

NOTHING_HIDDEN = dict(image_ratio=0.0, point_ratio=0.0)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return MODELS.build(fusion_model_config())


@pytest.fixture(scope="module")
def batch(model, frame_root):
    return model.data_preprocessor(packed(frame_root, samples=2))


def test_without_convolutions_the_volume_is_the_sum_of_both(batch):
    torch.manual_seed(0)
    encoder = MODELS.build(fusion_model_config()["encoder"] | dict(num_convs=0)).eval()
    with torch.no_grad():
        total = encoder(batch["inputs"]).volume.data
        parts = encoder.camera(batch["inputs"]).volume.data + encoder.lidar(batch["inputs"]).volume.data
    torch.testing.assert_close(total, parts)


def test_names_of_the_parts_are_those_of_the_encoders_alone(model):
    encoder = model.encoder
    expected = {f"camera.{n}" for n in encoder.camera.state_dict()} | {f"lidar.{n}" for n in encoder.lidar.state_dict()}
    rest = set(encoder.state_dict()) - expected
    assert {n.split(".")[0] for n in rest} == {"fuse"}


@pytest.mark.parametrize(("dropped", "kept"), [("camera", "lidar"), ("lidar", "camera")])
def test_a_dropped_sensor_has_no_influence_and_no_gradient_but_a_place_in_the_graph(model, batch, dropped, kept):
    encoder = model.encoder.train()
    encoder.zero_grad()
    masking = InputMasking(**NOTHING_HIDDEN, **{f"drop_{dropped}": 1.0})
    encoder(batch["inputs"], masking).volume.data.square().sum().backward()
    gradients = {n: p.grad.abs().sum().item() for n, p in encoder.named_parameters()}
    assert all(g == 0 for n, g in gradients.items() if n.startswith(dropped))
    assert any(g > 0 for n, g in gradients.items() if n.startswith(kept))


def test_sensors_are_dropped_sample_by_sample_and_never_in_evaluation(batch):
    torch.manual_seed(0)
    encoder = MODELS.build(fusion_model_config()["encoder"] | dict(num_convs=0)).eval()
    with torch.no_grad():
        camera, lidar = encoder.camera(batch["inputs"]).volume.data, encoder.lidar(batch["inputs"]).volume.data
        choices = {0: camera + lidar, 1: camera, 2: lidar}
        seen = set()
        for seed in range(12):
            generator = torch.Generator().manual_seed(seed)
            masking = InputMasking(**NOTHING_HIDDEN, drop_camera=0.3, drop_lidar=0.3, generator=generator)
            data = encoder(batch["inputs"], masking).volume.data
            found = [[k for k, v in choices.items() if torch.equal(v[b], data[b])] for b in range(2)]
            assert all(len(k) == 1 for k in found)
            seen.add((found[0][0], found[1][0]))
        assert len(seen) > 4
        assert torch.equal(encoder(batch["inputs"]).volume.data, camera + lidar)


def test_joint_pre_training_takes_a_step(model, batch):
    model.train().zero_grad()
    losses = model(**batch, mode="loss")
    (losses["loss_color"] + losses["loss_depth"]).backward()
    wrong = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert wrong == []


def test_different_volumes_are_refused():
    config = fusion_model_config()["encoder"]
    other = lidar_encoder_config(grid=config["lidar"]["grid"] | dict(size=(12, 12, 2)), voxel_size=(0.5, 0.5, 0.5))
    with pytest.raises(ValueError, match="grid of the camera encoder"):
        FusionEncoder(camera=config["camera"], lidar=other)
    thinner = lidar_encoder_config(pts_neck=config["lidar"]["pts_neck"] | dict(channels=4), channels=4)
    with pytest.raises(ValueError, match="channels of the camera encoder is 8, of the LiDAR encoder 4"):
        FusionEncoder(camera=config["camera"], lidar=thinner)


def test_a_missing_sensor_is_one_clear_error(model, batch):
    with pytest.raises(ValueError, match="CameraEncoder: the batch has no images"):
        model.encoder(replace(batch["inputs"], images=None))
    with pytest.raises(ValueError, match="LidarEncoder: the batch has no points"):
        model.encoder(replace(batch["inputs"], points=None))


def test_without_rays_the_batch_still_encodes(model, frame_root):
    pipeline = [dict(type=LoadCameras), dict(type=LoadLidarSweeps), dict(type=PackSensorInputs)]
    dataset = PonderNuScenesDataset(data_root=str(frame_root), ann_file=INFO_NAME, pipeline=pipeline)
    batch = model.data_preprocessor(pseudo_collate([dataset[0]]))
    assert model.eval().encode(batch["inputs"]).data.shape == (1, 8, 4, 24, 24)
