"""Camera and LiDAR detection, UniPAD's ablation: UVTR on both encoders, ±54 m, a fifth of the training frames.

Hardware: 4 A100, two frames each (published setting: 4 GPUs), 8,436 iterations; time not measured yet.
Aims at: 56.8 NDS / 57.0 mAP on nuScenes val (published, UniPAD); from scratch twins 49.9 / 52.7
(derived from the paper). The volumes are added, then one convolution that is new. Both encoders come from fine-tuned
detectors, the camera model `uvtr_camera_convnext_s_vs0p075_4xb1_24e_nuscenes` and the LiDAR ablation:
`tools/merge_checkpoints.py CAMERA LIDAR work_dirs/merged_fifth.pth --config THIS`, with their work dirs.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.nuscenes_detection_fusion import *
    from .._base_.nuscenes_scoring import *
    from .._base_.runtime import *
    from .._base_.schedule_uvtr_fusion_12e import *
    from .._base_.uvtr_heads import suppressing_head
    from .uvtr_camera_convnext_s_vs0p075_4xb1_24e_nuscenes import model as camera_model
    from .uvtr_lidar_voxelnet_vs0p075_4xb4_20e_nuscenes_fifth import model as lidar_model

from ponderv2.encoders import FusionEncoder
from ponderv2.models import SensorPreprocessor, VolumeDetector

model = dict(
    type=VolumeDetector,
    data_preprocessor=dict(type=SensorPreprocessor),
    init_cfg=dict(checkpoint="work_dirs/merged_fifth.pth", new=("fuse",)),
    encoder=dict(type=FusionEncoder, camera=camera_model["encoder"], lidar=lidar_model["encoder"]),
    head=suppressing_head,
)
del camera_model, lidar_model

train_dataloader.dataset.load_interval = 5
val_evaluator.sensors = ("camera", "lidar")
test_evaluator = val_evaluator
