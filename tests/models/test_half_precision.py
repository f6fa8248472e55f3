"""What recipes train with: every kind of model computes losses and gradients in bfloat16 that are those of float32."""

import copy

import pytest
import torch
from mmdet3d.structures import Det3DDataSample, LiDARInstance3DBoxes
from mmengine.structures import InstanceData
from torch import nn

from ponderv2.encoders import FusionEncoder
from ponderv2.heads import UVTRHead
from ponderv2.models import SensorPreprocessor, VolumeDetector
from ponderv2.registry import MODELS
from tests.factories.camera_models import model_config, packed
from tests.factories.lidar_models import (
    fusion_model_config,
    lidar_encoder_config,
    lidar_model_config,
    unet_encoder_config,
)
from tests.factories.segmentation_models import mink_segmentor, segmentor, sweeps


def fusion_detector_config() -> dict:
    camera = model_config()["encoder"] | dict(depth_loss=dict(), num_convs=1)
    head = dict(
        type=UVTRHead,
        in_channels=8,
        num_classes=10,
        num_queries=12,
        num_layers=2,
        query_init="reference",
        denoising=dict(),
        iou_weight=0.5,
    )
    encoder = dict(type=FusionEncoder, camera=camera, lidar=lidar_encoder_config(num_convs=1))
    return dict(
        type=VolumeDetector, encoder=encoder, head=head, data_preprocessor=dict(type=SensorPreprocessor, pad_divisor=32)
    )


CONFIGS = {
    "camera": model_config,
    "voxelnet": lidar_model_config,
    "unet": lambda: lidar_model_config(unet_encoder_config()),
    "fusion": fusion_model_config,
    "detector": fusion_detector_config,
}


def losses_of(model: nn.Module, batch: dict, half: bool) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        return model(**copy.deepcopy(batch), mode="loss")


@pytest.mark.parametrize("build", [segmentor, mink_segmentor], ids=["unet", "mink_unet"])
def test_a_segmentor_has_logits_and_losses_in_float32_and_its_gradients_are_finite(build):
    model = build().train()
    batch = sweeps(5, 6)
    full, half = (losses_of(model, batch, half) for half in (False, True))
    assert full.keys() == half.keys() == {"loss_cross_entropy", "loss_lovasz"}
    for key, value in half.items():
        assert value.dtype == torch.float32, key
        torch.testing.assert_close(value, full[key], rtol=0.1, atol=0.02)
    seen = []
    model.head.classifier.register_forward_hook(lambda _, given, out: seen.extend([given[0].dtype, out.dtype]))
    sum(losses_of(model, batch, True).values()).backward()
    assert set(seen) == {torch.float32}
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", CONFIGS)
def test_losses_are_those_of_float32_but_for_rounding_and_gradients_are_finite(name, frame_root):
    torch.manual_seed(0)
    model = MODELS.build(CONFIGS[name]()).train()
    batch = model.data_preprocessor(packed(frame_root, samples=2))
    if name == "detector":
        boxes = LiDARInstance3DBoxes(torch.tensor([[5.0, 3.0, -1.8, 4.5, 1.9, 1.6, 0.3, 1.0, 0.0]]), box_dim=9)
        sample = Det3DDataSample(gt_instances_3d=InstanceData(bboxes_3d=boxes, labels_3d=torch.tensor([0])))
        batch["data_samples"] = [sample, copy.deepcopy(sample)]
    full, half = (losses_of(model, batch, half) for half in (False, True))
    assert full.keys() == half.keys()
    for key, value in half.items():
        assert value.dtype == torch.float32, key
        torch.testing.assert_close(value, full[key], rtol=0.1, atol=0.02, msg=lambda text, key=key: f"{key}: {text}")
    sum(value for key, value in half.items() if "loss" in key).backward()
    wrong = [n for n, p in model.named_parameters() if p.grad is not None and not p.grad.isfinite().all()]
    assert wrong == []
    assert {p.grad.dtype for p in model.parameters() if p.grad is not None} == {torch.float32}
