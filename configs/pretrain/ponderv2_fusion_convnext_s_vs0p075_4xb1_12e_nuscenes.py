"""Joint pre-training of cameras and LiDAR, an addition of this project: ±54 m, 180×180×5 cells, 256 channels.

Hardware: 4 A100, one frame each, 84,384 iterations; neither memory nor time measured yet. No published row: UniPAD
trains the encoders apart and merges them to fine-tune UniPAD_M (73.2 NDS / 69.9 mAP, published); that route is
tools/merge_checkpoints.py with this recipe. Encoders, masks and voxels are those of the camera (pull) and LiDAR
recipes of the same volume; both losses with weight 10; the camera schedule; the LiDAR augmentation. One sample in
five trains with the cameras alone and one in five with the LiDAR alone (our choice).
"""

from mmengine.config import read_base

with read_base():
    from .._base_.nuscenes_fusion import *
    from .._base_.runtime import *
    from .._base_.schedule_camera_12e import *
    from .ponderv2_camera_convnext_s_pull_vs0p075_4xb1_12e_nuscenes import model as camera_model
    from .ponderv2_lidar_voxelnet_vs0p075_4xb4_12e_nuscenes import model as lidar_model

from ponderv2.encoders import FusionEncoder
from ponderv2.engine import EncoderExportHook, RenderPreviewHook
from ponderv2.evaluation import RenderMetric
from ponderv2.heads import RenderHead
from ponderv2.models import RenderingPretrainer, SensorPreprocessor

optim_wrapper["paramwise_cfg"] = dict(custom_keys={"encoder.camera.img_backbone": dict(lr_mult=0.1)})

model = dict(
    type=RenderingPretrainer,
    data_preprocessor=dict(type=SensorPreprocessor),
    masking=dict(image_ratio=0.3, image_block=32, point_ratio=0.8, point_block=8, drop_camera=0.2, drop_lidar=0.2),
    encoder=dict(type=FusionEncoder, camera=camera_model["encoder"], lidar=lidar_model["encoder"]),
    head=dict(type=RenderHead, in_channels=256, render_channels=32, hidden_channels=16),
)

val_evaluator = dict(type=RenderMetric)
test_evaluator = val_evaluator
custom_hooks = [dict(type=RenderPreviewHook, interval=2000, stride=8), dict(type=EncoderExportHook)]
