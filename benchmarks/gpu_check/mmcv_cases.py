"""What is compared where there is mmdet3d's stack: image backbones, camera encoders, dense LiDAR parts and heads."""

from typing import Any

import torch
from mmdet.models.necks import FPN
from mmdet3d.structures import LiDARInstance3DBoxes
from mmengine.structures import InstanceData
from torch import Tensor, nn

from benchmarks.lift_benchmark import IMAGE, camera_ring
from ponderv2.encoders import (
    SECOND3D,
    SECOND3DFPN,
    CameraEncoder,
    DepthNet,
    PonderConvNeXt,
    PonderResNet,
    SimpleDepth,
)
from ponderv2.heads import RenderHead, UVTRHead
from ponderv2.lifting import PullLift, SplatLift
from ponderv2.masking import draw_block_mask
from ponderv2.registry import MODELS
from ponderv2.rendering import HierarchicalSampler
from ponderv2.structures import CameraRig, FeatureVolume, RayBatch, SensorBatch

from .agreement import Case
from .torch_cases import CHANNELS, GRID, RAYS, rays, volume_data

SIZE = (128, 224)
"""Height and width of the images, pixels; the cameras are scaled to them."""

CONVNEXT = dict(
    type=PonderConvNeXt,
    depths=(1, 1),
    channels=(16, 32),
    out_indices=(0, 1),
    frozen_stages=-1,
    drop_path_rate=0.0,
    layer_scale=0.1,
)


def cases() -> list[Case]:
    """Return all cases of this level."""
    return [
        Case("ConvNeXt, masked", lambda: _backbone(MODELS.build(CONVNEXT)), _backbone_maps, 1e-4, 1e-3),
        Case("ResNet, masked", lambda: _backbone(_resnet()), _backbone_maps, 1e-4, 1e-2),
        Case("camera encoder, pull", lambda: _camera(simple_depth(), PullLift), _encode, 1e-3, 1e-2),
        Case("camera encoder, splat and depth loss", lambda: _camera(_depth_net(), SplatLift), _encode, 1e-2, 5e-2),
        Case("SECOND3D and its neck", _second, _run_second, 1e-3, 1e-2),
        Case("rendering head", _render_head, _render_losses, 1e-3, 1e-2),
        Case("detection head", _detection_head, _detection_losses, 1e-3, 1e-2),
    ]


def small_rig() -> CameraRig:
    """Make the six cameras of `lift_benchmark`, with images of `SIZE`."""
    rig = camera_ring(6, 1)
    scale = torch.diag(torch.tensor([SIZE[1] / IMAGE[1], SIZE[0] / IMAGE[0], 1.0, 1.0], dtype=torch.float64))
    cam2img = scale @ rig.cam2img
    lidar2img = cam2img @ rig.lidar2cam
    size = torch.tensor(SIZE).expand(1, 6, 2)
    return CameraRig(rig.lidar2cam, cam2img, lidar2img, torch.linalg.inv(lidar2img), size, SIZE)


def small_cloud(count: int = 4000) -> Tensor:
    """Make a point cloud `[P, 5]` all around the car."""
    return torch.randn(count, 5) * torch.tensor([20.0, 20.0, 1.5, 1.0, 0.0])


def ray_batch() -> RayBatch:
    """Make rays with colors and depths."""
    origins, directions = rays()
    every = torch.ones(1, RAYS, dtype=torch.bool)
    depth, rgb = 2 + 40 * torch.rand(1, RAYS), torch.rand(1, RAYS, 3)
    flat = RayBatch(origins, directions, every, depth, torch.zeros(1, RAYS, 2), rgb)
    return RayBatch(**{name: None if value is None else value[:, None] for name, value in vars(flat).items()})


def camera_config(depth_net: dict, lift: type = PullLift) -> dict:
    """Make the config of a small camera encoder on `torch_cases.GRID`."""
    return dict(
        type=CameraEncoder,
        grid=dict(point_cloud_range=GRID.point_cloud_range, size=GRID.size),
        img_backbone=CONVNEXT,
        img_neck=dict(type=FPN, in_channels=[16, 32], out_channels=CHANNELS, num_outs=2),
        neck_strides=(4, 8),
        depth_net=depth_net,
        lift=dict(type=lift, depth_range=(1.0, 60.0)),
        channels=CHANNELS,
        num_convs=1,
        depth_loss=dict(weight=1.0) if lift is SplatLift else None,
    )


def simple_depth() -> dict:
    """Make the config of the depth network of a pull lift."""
    return dict(type=SimpleDepth, in_channels=CHANNELS, num_bins=16)


def _depth_net() -> dict:
    small = dict(channels=CHANNELS, pyramid_channels=8, num_blocks=1, dropout=0.0)
    return dict(type=DepthNet, in_channels=CHANNELS, num_bins=16, **small)


def _resnet() -> nn.Module:
    small = dict(depths=(1, 1), channels=(32, 64), stem_channels=16, out_indices=(0, 1))
    return MODELS.build(dict(type=PonderResNet, frozen_stages=-1, norm_eval=False, **small))


def _backbone(backbone: nn.Module) -> tuple[nn.Module, dict[str, Any]]:
    images = torch.randn(2, 3, *SIZE, requires_grad=True)
    return backbone.train(), {"images": images, "visible": draw_block_mask(2, SIZE)}


def _backbone_maps(backbone: nn.Module, given: dict[str, Any]) -> dict[str, Tensor]:
    return {f"map {k}": m for k, m in enumerate(backbone(given["images"], given["visible"]))}


def _camera(depth_net: dict, lift: type) -> tuple[nn.Module, dict[str, Any]]:
    encoder = MODELS.build(camera_config(depth_net, lift))
    rig = small_rig().to("cpu", torch.float32)
    return encoder.train(), {"batch": SensorBatch(rig, torch.randn(1, 6, 3, *SIZE), [small_cloud()])}


def _encode(encoder: nn.Module, given: dict[str, Any]) -> dict[str, Tensor]:
    out = encoder(given["batch"])
    return {"volume": out.volume.data, **out.losses}


def _second() -> tuple[nn.Module, dict[str, Any]]:
    backbone = MODELS.build(dict(type=SECOND3D, in_channels=CHANNELS, channels=(16, 16, 16), blocks=(1, 1, 1)))
    neck = MODELS.build(dict(type=SECOND3DFPN, in_channels=(16, 16, 16), channels=CHANNELS))
    return nn.ModuleList([backbone, neck]).train(), {"volume": volume_data().requires_grad_()}


def _run_second(parts: nn.ModuleList, given: dict[str, Any]) -> dict[str, Tensor]:
    volume = given["volume"]
    return {"volume": parts[1](parts[0](volume), volume.shape[2])}


def _render_head() -> tuple[nn.Module, dict[str, Any]]:
    sampler = dict(type=HierarchicalSampler, num_proposals=24, num_important=8)
    head = MODELS.build(dict(type=RenderHead, in_channels=CHANNELS, render_channels=CHANNELS, sampler=sampler))
    # Without jitter, which no two devices draw alike.
    return head.eval(), {"volume": volume_data().requires_grad_(), "rays": ray_batch()}


def _render_losses(head: nn.Module, given: dict[str, Any]) -> dict[str, Tensor]:
    losses = head.loss(FeatureVolume(given["volume"], GRID), given["rays"])
    return {name: value for name, value in losses.items() if name.startswith("loss")}


def _detection_head() -> tuple[nn.Module, dict[str, Any]]:
    small = dict(num_queries=40, num_layers=2, num_heads=2, ffn_channels=32, iou_weight=0.5)
    head = MODELS.build(dict(type=UVTRHead, in_channels=CHANNELS, num_classes=10, **small))
    boxes = torch.rand(12, 9) * torch.tensor([80.0, 80.0, 2.0, 3.0, 1.0, 1.0, 6.0, 4.0, 4.0])
    boxes = boxes + torch.tensor([-40.0, -40.0, -2.0, 1.0, 1.0, 1.0, -3.0, -2.0, -2.0])
    # Without dropout.
    inputs = {"volume": volume_data().requires_grad_(), "boxes": boxes, "labels": torch.randint(0, 10, (12,))}
    return head.eval(), inputs


def _detection_losses(head: nn.Module, given: dict[str, Any]) -> dict[str, Tensor]:
    boxes = LiDARInstance3DBoxes(given["boxes"], box_dim=9)
    target = InstanceData(bboxes_3d=boxes, labels_3d=given["labels"])
    losses = head.loss(FeatureVolume(given["volume"], GRID), [target])
    return {name: value for name, value in losses.items() if "loss" in name}
