"""Camera pre-training in the volume of the LiDAR recipe: ±54 m, 180×180×5 cells, 256 channels, lifted by pull.

Hardware: 4 A100, one frame each, 84,384 iterations; neither memory nor time measured yet. The camera half of the
fusion model: its encoder goes into tools/merge_checkpoints.py. UniPAD's own ±54 m camera model (47.4 NDS / 41.5 mAP
after fine-tuning) splats from the last stage of the backbone alone, with 118 depth bins; this one has the lift, the
neck and the 64 bins of its ablation model, and otherwise the published settings of both (masks of 32 pixels, 30 %).
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

point_cloud_range = (-54.0, -54.0, -5.0, 54.0, 54.0, 3.0)

model = dict(
    type=RenderingPretrainer,
    data_preprocessor=dict(type=SensorPreprocessor),
    masking=dict(image_ratio=0.3, image_block=32),
    encoder=dict(
        type=CameraEncoder,
        grid=dict(point_cloud_range=point_cloud_range, size=(180, 180, 5)),
        img_backbone=dict(
            type=PonderConvNeXt,
            size="small",
            weights="facebook/convnext-small-224",
            out_indices=(1, 2, 3),
            frozen_stages=1,
            drop_path_rate=0.2,
            grad_checkpointing=True,
        ),
        img_neck=dict(type=FPN, in_channels=[192, 384, 768], out_channels=256, num_outs=4, add_extra_convs="on_output"),
        neck_strides=(8, 16, 32, 64),
        depth_net=dict(type=SimpleDepth, in_channels=256, num_bins=64),
        lift=dict(type=PullLift, depth_range=(0.0, 64.0)),
        channels=256,
    ),
    head=dict(type=RenderHead, in_channels=256, render_channels=32, hidden_channels=16),
)

val_evaluator = dict(type=RenderMetric)
test_evaluator = val_evaluator
custom_hooks = [dict(type=RenderPreviewHook, interval=2000, stride=8), dict(type=EncoderExportHook)]
