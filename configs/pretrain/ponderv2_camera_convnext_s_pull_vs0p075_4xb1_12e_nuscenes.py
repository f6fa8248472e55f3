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
    from .ponderv2_camera_convnext_s_vs0p1_4xb1_12e_nuscenes import model

from ponderv2.engine import EncoderExportHook, RenderPreviewHook
from ponderv2.evaluation import RenderMetric

channels = 256
model.encoder.grid = dict(point_cloud_range=(-54.0, -54.0, -5.0, 54.0, 54.0, 3.0), size=(180, 180, 5))
model.encoder.channels = channels
model.encoder.img_neck.out_channels = channels
model.encoder.depth_net.in_channels = channels
model.head.in_channels = channels

val_evaluator = dict(type=RenderMetric)
test_evaluator = val_evaluator
custom_hooks = [dict(type=RenderPreviewHook, interval=2000, stride=8), dict(type=EncoderExportHook)]
