"""Small detection heads, volumes and boxes."""

import math

import torch
from mmdet3d.structures import LiDARInstance3DBoxes
from mmengine.structures import InstanceData

from ponderv2.heads import UVTRHead
from ponderv2.structures import FeatureVolume, VoxelGrid

GRID = VoxelGrid((-16, -12, -3, 16, 12, 3), (8, 6, 3))
CHANNELS = 8

PLAIN = dict()
DENOISING = dict(
    query_init="reference",
    denoising=dict(),
    iou_weight=0.5,
    code_weights=(2, 2, 1, 1, 1, 1, 1, 1, 0.2, 0.2),
    decoding=dict(use_iou=True),
)
FORMS = {"plain": PLAIN, "denoising": DENOISING}


def head_of(**changes) -> UVTRHead:
    torch.manual_seed(0)
    arguments = dict(in_channels=CHANNELS, num_classes=10, num_queries=12, num_layers=2, num_heads=2, ffn_channels=16)
    return UVTRHead(**arguments | changes)


def volume_of(batch: int = 1, seed: int = 0) -> FeatureVolume:
    data = torch.randn(batch, CHANNELS, *GRID.shape, generator=torch.Generator().manual_seed(seed))
    return FeatureVolume(data, GRID)


def boxes_of(count: int, seed: int = 0) -> torch.Tensor:
    """Rows (x, y, z bottom, l, w, h, yaw, vx, vy) within the grid; the last velocity is unknown."""
    generator = torch.Generator().manual_seed(seed)
    u = torch.rand(count, 9, generator=generator)
    low = torch.tensor([-14.0, -10, -2, 1, 1, 1, -3, -5, -5])
    high = torch.tensor([14.0, 10, 0, 5, 2.5, 2.5, 3, 5, 5])
    boxes = low + u * (high - low)
    boxes[-1:, 7:] = math.nan
    return boxes


def target_of(count: int, seed: int = 0) -> InstanceData:
    labels = torch.randint(0, 10, (count,), generator=torch.Generator().manual_seed(seed))
    return InstanceData(bboxes_3d=LiDARInstance3DBoxes(boxes_of(count, seed), box_dim=9), labels_3d=labels)


def total(losses: dict[str, torch.Tensor]) -> torch.Tensor:
    return sum(value for name, value in losses.items() if "loss" in name)
