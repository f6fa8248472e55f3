"""Camera pre-training, the published final model ("uvtr_cam_vs0.075"): ±54 m, 180×180×5 cells, 256 channels, splat.

Hardware: 4 A100 (published setting: 4 GPUs, one frame each), 84,384 iterations; neither memory nor time measured yet.
Aims at: UniPAD_C, 47.4 NDS / 41.5 mAP after 24 epochs of fine-tuning (published), where LiDAR supervises the depths
that are lifted (`depth_loss=dict(weight=1.0)`); in pre-training its published weight is 0, so it is left out here.
The last stage of ConvNeXt-small alone (stride 32); 118 depth bins of half a metre; ten sweeps as ray targets. Those of
the validation are the key frame's alone, which are exact. Otherwise see the vs0p1 recipe.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.nuscenes_camera import *
    from .._base_.runtime import *
    from .._base_.schedule_camera_12e import *
    from .ponderv2_camera_convnext_s_pull_vs0p075_4xb1_12e_nuscenes import model

from mmdet.models.necks import FPN

from ponderv2.datasets import LoadLidarSweeps
from ponderv2.encoders import DepthNet
from ponderv2.engine import EncoderExportHook, RenderPreviewHook
from ponderv2.evaluation import RenderMetric
from ponderv2.lifting import SplatLift

train_dataloader.dataset.pipeline[1] = dict(type=LoadLidarSweeps, num_sweeps=9)

model.encoder.img_backbone.out_indices = (3,)
# Of one level it is a 1×1 and a 3×3 convolution without norm: the published "CustomFPN".
model.encoder.img_neck = dict(type=FPN, in_channels=[768], out_channels=256, num_outs=1)
model.encoder.neck_strides = (32,)
model.encoder.depth_net = dict(type=DepthNet, in_channels=256, num_bins=118)
model.encoder.lift = dict(type=SplatLift, depth_range=(1.0, 60.0))

val_evaluator = dict(type=RenderMetric)
test_evaluator = val_evaluator
custom_hooks = [dict(type=RenderPreviewHook, interval=2000, stride=8), dict(type=EncoderExportHook)]
