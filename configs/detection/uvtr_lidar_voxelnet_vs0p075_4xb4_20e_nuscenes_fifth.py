"""LiDAR detection, UniPAD's ablation: UVTR on VoxelNet, ±54 m, a fifth of the training frames.

Hardware: 4 A100, four frames each (published setting: 4 GPUs), 7,020 iterations; time not measured yet.
Aims at: 55.8 NDS / 48.1 mAP on nuScenes val (published, UniPAD); from scratch 46.7 / 39.0 (derived from the paper).
No balancing of classes and no pasting; scores use the predicted overlap, nothing is suppressed.
Starts from `pretrain/ponderv2_lidar_voxelnet_vs0p075_4xb4_12e_nuscenes`; three convolutions after the neck are new.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.nuscenes_detection_lidar import *
    from .._base_.nuscenes_scoring import *
    from .._base_.runtime import *
    from .._base_.schedule_uvtr_lidar_20e import *
    from .._base_.uvtr_heads import overlap_head
    from ..pretrain.ponderv2_lidar_voxelnet_vs0p075_4xb4_12e_nuscenes import model as pretraining

from ponderv2.models import SensorPreprocessor, VolumeDetector

encoder = pretraining.encoder
encoder.num_convs = 3
model = dict(
    type=VolumeDetector,
    data_preprocessor=dict(type=SensorPreprocessor),
    init_cfg=dict(
        checkpoint="work_dirs/ponderv2_lidar_voxelnet_vs0p075_4xb4_12e_nuscenes/encoder.safetensors", new=("convs",)
    ),
    encoder=encoder,
    head=overlap_head,
)
del pretraining

train_dataloader.dataset.load_interval = 5
