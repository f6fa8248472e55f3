"""UVTR's fusion schedule in 12 epochs: UniPAD's fusion ablation. Its cycle is that of `schedule_lidar_12e`."""

from mmengine.config import read_base

with read_base():
    from .schedule_lidar_12e import *
    from .schedule_uvtr_fusion_20e import auto_scale_lr, optim_wrapper
