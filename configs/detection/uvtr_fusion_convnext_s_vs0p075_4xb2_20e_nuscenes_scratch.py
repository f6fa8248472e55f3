"""The scratch twin of UniPAD's final fusion model: its encoders come from the scratch twins of both detectors.

Hardware: as its twin. Published: 70.2 NDS / 65.4 mAP (UVTR, with a ResNet-101 and milder augmentation).
"""

from mmengine.config import read_base

with read_base():
    from .uvtr_fusion_convnext_s_vs0p075_4xb2_20e_nuscenes import *

model.init_cfg.checkpoint = "work_dirs/merged_scratch.pth"
