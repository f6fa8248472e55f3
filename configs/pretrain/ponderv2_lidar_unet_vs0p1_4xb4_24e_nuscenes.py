"""LiDAR pre-training for segmentation, PonderV2's outdoor model: a sparse U-Net on one sweep, 0.1 m voxels.

Hardware: 4 A100 (published setting: 4 GPUs, 4 frames each), about 42,000 iterations; time not measured yet.
Aims at: 79.4 mIoU on nuScenes lidarseg after fine-tuning (published; 73.3 from scratch).
Published: (x, y, z, intensity / 255), blocks of 8 voxels, 80 % hidden behind a token (the paper hides them like
UniPAD; so does mask_token=False), depth alone (weight 10), jitter by sample, rays to returns beyond 3 m.
Where the published code differs, on purpose: lengths are metres in all directions (it squeezes the scene into a
unit cube), a voxel is the mean of its points (one of them at random), every frame is turned (half of them).
"""

from mmengine.config import read_base

with read_base():
    from .._base_.nuscenes_lidar import *
    from .._base_.runtime import *
    from .._base_.schedule_onecycle_24e import *

from ponderv2.encoders import LidarEncoder, VoxelUNet
from ponderv2.engine import EncoderExportHook, RenderPreviewHook
from ponderv2.evaluation import RenderMetric
from ponderv2.heads import RenderHead
from ponderv2.models import RenderingPretrainer, SensorPreprocessor
from ponderv2.rendering import HierarchicalSampler

point_cloud_range = (-54.0, -54.0, -5.0, 54.0, 54.0, 3.0)
turn = (-0.785, 0.785)
stronger = dict(rotation=turn, scale=(0.9, 1.1), translation_std=(0.5, 0.5, 0.5), flip_x=0.5, flip_y=0.5)
train_dataloader["dataset"]["pipeline"][2].update(stronger)
for loader in (train_dataloader, val_dataloader):
    loader["dataset"]["pipeline"][1].update(num_sweeps=0)
test_dataloader = val_dataloader

model = dict(
    type=RenderingPretrainer,
    data_preprocessor=dict(type=SensorPreprocessor),
    masking=dict(point_ratio=0.8, point_block=8),
    encoder=dict(
        type=LidarEncoder,
        grid=dict(point_cloud_range=point_cloud_range, size=(180, 180, 5)),
        voxel_size=(0.1, 0.1, 0.1),
        max_points=None,
        max_voxels=None,
        feature_scale=(1.0, 1.0, 1.0, 1 / 255),
        mask_token=True,
        pts_middle_encoder=dict(type=VoxelUNet, in_channels=4),
        channels=96,
    ),
    head=dict(
        type=RenderHead,
        in_channels=96,
        hidden_channels=16,
        objective=dict(color=0.0),
        sampler=dict(type=HierarchicalSampler, single_jitter=False),
    ),
)

val_evaluator = dict(type=RenderMetric)
test_evaluator = val_evaluator
custom_hooks = [dict(type=RenderPreviewHook, interval=2000, stride=8), dict(type=EncoderExportHook)]
