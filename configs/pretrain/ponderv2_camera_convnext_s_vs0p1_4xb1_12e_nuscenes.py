"""Camera pre-training, the published ablation model ("uvtr_cam_vs0.1"): ±51.2 m, 128×128×5 cells, 128 channels.

Hardware: 4 A100 (published setting: 4 GPUs, one frame each), 84,384 iterations; time not measured yet.
Aims at: UniPAD_C of the ablation, 32.9 NDS / 32.6 mAP after fine-tuning on half the data (published).
Starts from ImageNet-1k ConvNeXt-small. Where the published code differs, on purpose: cells and images are
read at their centres, LiDAR targets are z-buffered, rendering is float32 (see docs/architecture.md).
"""

from mmengine.config import read_base

with read_base():
    from .._base_.nuscenes_camera import *
    from .._base_.runtime import *
    from .._base_.schedule_camera_12e import *

from mmdet.models.necks import FPN

from ponderv2.encoders import CameraEncoder, PonderConvNeXt, SimpleDepth
from ponderv2.engine import EncoderExportHook, RenderPreviewHook
from ponderv2.evaluation import RenderMetric
from ponderv2.heads import RenderHead
from ponderv2.lifting import PullLift
from ponderv2.models import RenderingPretrainer, SensorPreprocessor

point_cloud_range = (-51.2, -51.2, -5.0, 51.2, 51.2, 3.0)
for loader in (train_dataloader, val_dataloader):
    loader["dataset"]["pipeline"][2].update(point_cloud_range=point_cloud_range, radius=(3.0, 50.0))
test_dataloader = val_dataloader

model = dict(
    type=RenderingPretrainer,
    data_preprocessor=dict(type=SensorPreprocessor),
    masking=dict(image_ratio=0.3, image_block=32),
    encoder=dict(
        type=CameraEncoder,
        grid=dict(point_cloud_range=point_cloud_range, size=(128, 128, 5)),
        img_backbone=dict(
            type=PonderConvNeXt,
            size="small",
            weights="facebook/convnext-small-224",
            out_indices=(1, 2, 3),
            frozen_stages=1,
            drop_path_rate=0.2,
            grad_checkpointing=True,
        ),
        img_neck=dict(type=FPN, in_channels=[192, 384, 768], out_channels=128, num_outs=4, add_extra_convs="on_output"),
        neck_strides=(8, 16, 32, 64),
        depth_net=dict(type=SimpleDepth, in_channels=128, num_bins=64),
        lift=dict(type=PullLift, depth_range=(0.0, 64.0)),
        channels=128,
    ),
    head=dict(type=RenderHead, in_channels=128, render_channels=32, hidden_channels=16),
)

val_evaluator = dict(type=RenderMetric)
test_evaluator = val_evaluator
custom_hooks = [dict(type=RenderPreviewHook, interval=2000, stride=8), dict(type=EncoderExportHook)]
