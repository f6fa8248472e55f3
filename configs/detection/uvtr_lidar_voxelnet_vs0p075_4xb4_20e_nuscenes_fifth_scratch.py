"""The scratch twin of UniPAD's LiDAR ablation: the same model and data, nothing pre-trained.

Hardware: as its twin. Published: 46.7 NDS / 39.0 mAP (derived from the gains in UniPAD's paper).
"""

from mmengine.config import read_base

with read_base():
    from .uvtr_lidar_voxelnet_vs0p075_4xb4_20e_nuscenes_fifth import *

model.init_cfg = None
