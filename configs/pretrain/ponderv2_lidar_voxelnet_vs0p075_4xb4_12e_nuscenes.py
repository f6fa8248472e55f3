"""LiDAR pre-training, the published model ("uvtr_lidar_vs0.075"): ±54 m, 0.075 m voxels, 180×180×5 cells.

Hardware: 4 A100 (published setting: 4 GPUs, 4 frames each), 21,096 iterations; time not measured yet.
Aims at: UniPAD_L, 70.6 NDS / 65.0 mAP after fine-tuning (published); ablation on 20 % of the data 55.8 / 48.1.
Published: ten sweeps, 10 points a voxel, 120,000 voxels (160,000 in evaluation), blocks of 8 voxels, 80 % hidden
and dropped, depth alone (weight 10), 512 rays a camera. The paper gives colour a weight of 10 as well; the code,
which this follows, 0. Where the published code differs, on purpose: targets are z-buffered, rendering is float32,
the voxels of a crowded sample are always the first ones, and neighbours are looked up once a resolution.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.nuscenes_lidar import *
    from .._base_.runtime import *
    from .._base_.schedule_lidar_12e import *

from ponderv2.encoders import SECOND3D, SECOND3DFPN, HeightKeepingSparseEncoder, LidarEncoder
from ponderv2.engine import EncoderExportHook, RenderPreviewHook
from ponderv2.evaluation import RenderMetric
from ponderv2.heads import RenderHead
from ponderv2.models import RenderingPretrainer, SensorPreprocessor

point_cloud_range = (-54.0, -54.0, -5.0, 54.0, 54.0, 3.0)

model = dict(
    type=RenderingPretrainer,
    data_preprocessor=dict(type=SensorPreprocessor),
    masking=dict(point_ratio=0.8, point_block=8),
    encoder=dict(
        type=LidarEncoder,
        grid=dict(point_cloud_range=point_cloud_range, size=(180, 180, 5)),
        voxel_size=(0.075, 0.075, 0.2),
        max_points=10,
        max_voxels=(120000, 160000),
        pts_middle_encoder=dict(type=HeightKeepingSparseEncoder, stage_channels=(16, 32, 64, 128), channels=256),
        pts_backbone=dict(type=SECOND3D, in_channels=256, channels=(128, 256, 512), blocks=(5, 5, 5)),
        pts_neck=dict(type=SECOND3DFPN, in_channels=(128, 256, 512), channels=256),
        channels=256,
    ),
    head=dict(type=RenderHead, in_channels=256, render_channels=32, hidden_channels=16, objective=dict(color=0.0)),
)

val_evaluator = dict(type=RenderMetric)
test_evaluator = val_evaluator
custom_hooks = [dict(type=RenderPreviewHook, interval=2000, stride=8), dict(type=EncoderExportHook)]
