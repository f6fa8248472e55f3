"""The detector: losses of encoder and head, a frozen encoder, and cached volumes."""

import copy

import numpy as np
import pytest
import torch
from mmdet3d.structures import Det3DDataSample, LiDARInstance3DBoxes
from mmengine.structures import InstanceData

from ponderv2.heads import BEVCenterHead, UVTRHead
from ponderv2.models import SensorPreprocessor, VolumeDetector
from ponderv2.registry import MODELS
from ponderv2.structures import FeatureVolume
from tests.factories.camera_models import model_config, packed
from tests.factories.lidar_models import lidar_encoder_config


def _detector(encoder: dict, **changes) -> VolumeDetector:
    head = dict(type=UVTRHead, in_channels=8, channels=16, num_classes=10, num_queries=12, num_layers=2)
    model = dict(type=VolumeDetector, encoder=encoder, head=head, data_preprocessor=dict(type=SensorPreprocessor))
    return MODELS.build(copy.deepcopy(model | changes))


def _sample() -> Det3DDataSample:
    boxes = LiDARInstance3DBoxes(torch.tensor([[5.0, 3.0, -1.8, 4.5, 1.9, 1.6, 0.3, 1.0, 0.0]]), box_dim=9)
    return Det3DDataSample(gt_instances_3d=InstanceData(bboxes_3d=boxes, labels_3d=torch.tensor([0])))


@pytest.fixture
def batch(frame_root) -> dict:
    """The factory frame as the preprocessor gives it, with one box."""
    batch = SensorPreprocessor()(packed(frame_root))
    return batch | {"data_samples": [_sample()]}


def test_losses_are_those_of_the_head_and_of_what_the_encoder_supervises(batch):
    encoder = model_config()["encoder"] | dict(depth_loss=dict(weight=1.0))
    detector = _detector(encoder).train()
    losses = detector(**batch, mode="loss")
    assert {"loss_lift_depth", "loss_cls", "loss_bbox", "d0.loss_cls", "d0.loss_bbox"} == set(losses)
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in detector.parameters())


def test_the_tensor_mode_returns_the_volume(batch):
    detector = _detector(model_config()["encoder"]).eval()
    volume = detector(**batch, mode="tensor")
    assert isinstance(volume, FeatureVolume)
    torch.testing.assert_close(volume.data, detector.encoder(batch["inputs"]).volume.data)


def test_cached_volumes_come_without_losses_of_the_encoder(batch):
    encoder = model_config()["encoder"] | dict(depth_loss=dict(weight=1.0))
    detector = _detector(encoder, freeze_encoder=True, cache_volumes=True).train()
    batch["data_samples"][0].set_metainfo({"token": "a"})
    for _ in range(2):
        assert "loss_lift_depth" not in detector(**batch, mode="loss")


def test_prediction_is_in_the_samples(batch):
    detector = _detector(model_config()["encoder"]).eval()
    (sample,) = detector(**batch, mode="predict")
    found = sample.pred_instances_3d
    assert len(found.bboxes_3d) == len(found.scores_3d) == len(found.labels_3d) > 0
    assert found.bboxes_3d.box_dim == 9


def test_a_sample_whose_boxes_were_not_loaded_is_an_error_and_one_without_boxes_is_not(batch):
    detector = _detector(model_config()["encoder"]).train()
    with pytest.raises(ValueError, match="sample 0 of the batch has no gt_instances_3d"):
        detector(**batch | {"data_samples": [Det3DDataSample()]}, mode="loss")
    empty = _sample()
    empty.gt_instances_3d = empty.gt_instances_3d[torch.zeros(1, dtype=torch.bool)]
    losses = detector(**batch | {"data_samples": [empty]}, mode="loss")
    assert all(torch.isfinite(v) for v in losses.values())


def test_a_frozen_encoder_changes_in_nothing_and_the_head_learns(batch):
    detector = _detector(lidar_encoder_config(), freeze_encoder=True).train()
    before = {k: v.clone() for k, v in detector.encoder.state_dict().items()}
    optimizer = torch.optim.SGD((p for p in detector.parameters() if p.requires_grad), lr=0.1)
    sum(detector(**batch, mode="loss").values()).backward()
    optimizer.step()
    assert not any(p.requires_grad for p in detector.encoder.parameters())
    assert all(torch.equal(v, before[k]) for k, v in detector.encoder.state_dict().items())
    assert all(p.grad is not None for p in detector.head.parameters())
    trained = _detector(lidar_encoder_config()).train()
    before = {k: v.clone() for k, v in trained.encoder.state_dict().items()}
    trained(**batch, mode="loss")
    assert not all(torch.equal(v, before[k]) for k, v in trained.encoder.state_dict().items())


def test_cached_volumes_are_those_of_the_encoder_and_are_computed_once(batch):
    detector = _detector(lidar_encoder_config(), freeze_encoder=True, cache_volumes=True).train()
    batch["data_samples"][0].set_metainfo({"token": "a"})
    calls = []
    detector.encoder.register_forward_hook(lambda *_: calls.append(1))
    losses = [detector(**batch, mode="loss")["loss_cls"].item() for _ in range(3)]
    assert len(calls) == 1
    plain = _detector(lidar_encoder_config(), freeze_encoder=True).train()
    plain.load_state_dict(detector.state_dict())
    for module in (plain, detector):
        module.head.eval()
    cached, computed = (m(**batch, mode="loss")["loss_cls"].item() for m in (detector, plain))
    assert cached == pytest.approx(computed, rel=1e-3)
    assert len(losses) == 3


def test_an_unfrozen_encoder_learns_all_but_what_it_holds_fixed_itself(batch):
    config = model_config()["encoder"]
    config["img_backbone"]["frozen_stages"] = 0
    held = [n for n, p in _detector(config).encoder.named_parameters() if not p.requires_grad]
    assert held
    detector = _detector(config, freeze_encoder=True).train()
    assert not detector.encoder.training
    detector.unfreeze_encoder()
    assert detector.encoder.training
    assert [n for n, p in detector.encoder.named_parameters() if not p.requires_grad] == held
    calls = []
    cached = _detector(lidar_encoder_config(), freeze_encoder=True, cache_volumes=True).train()
    cached.encoder.register_forward_hook(lambda *_: calls.append(1))
    batch["data_samples"][0].set_metainfo({"token": "a"})
    cached(**batch, mode="loss")
    cached.unfreeze_encoder()
    sum(cached(**batch, mode="loss").values()).backward()
    assert len(calls) == 2
    assert all(p.grad is not None for p in cached.encoder.parameters() if p.requires_grad)


def test_volumes_of_augmented_frames_or_of_a_learning_encoder_are_not_cached(batch):
    detector = _detector(lidar_encoder_config(), freeze_encoder=True, cache_volumes=True).train()
    batch["data_samples"][0].set_metainfo({"token": "a", "lidar_aug": np.diag([1.1, 1.1, 1.1, 1.0])})
    with pytest.raises(ValueError, match="sample a is augmented"):
        detector(**batch, mode="loss")
    with pytest.raises(ValueError, match="needs freeze_encoder"):
        _detector(lidar_encoder_config(), cache_volumes=True)


def test_a_center_head_learns_from_cached_volumes_and_predicts(batch):
    encoder = lidar_encoder_config()
    head = dict(type=BEVCenterHead, in_channels=8, grid=encoder["grid"], bev_channels=16, branch_channels=8)
    detector = _detector(encoder, head=head, freeze_encoder=True, cache_volumes=True).train()
    detector.init_weights()
    batch["data_samples"][0].set_metainfo({"token": "a"})
    calls = []
    detector.encoder.register_forward_hook(lambda *_: calls.append(1))
    for _ in range(2):
        losses = detector(**batch, mode="loss")
    assert len(calls) == 1
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in detector.head.parameters())
    assert all(p.grad is None for p in detector.encoder.parameters())
    (sample,) = detector.eval()(**batch, mode="predict")
    assert sample.pred_instances_3d.bboxes_3d.tensor.shape[1] == 9


def test_another_mode_is_refused(batch):
    with pytest.raises(ValueError, match="expected 'tensor', 'loss' or 'predict', got 'losses'"):
        _detector(model_config()["encoder"])(**batch, mode="losses")
