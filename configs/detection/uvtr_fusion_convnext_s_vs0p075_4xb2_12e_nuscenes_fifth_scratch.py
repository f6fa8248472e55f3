"""The scratch twin of UniPAD's fusion ablation: its encoders come from the scratch twins of both detectors.

Hardware: as its twin. Published: 49.9 NDS / 52.7 mAP (derived from the gains in UniPAD's paper). Merge as there, with
the work dirs of the two scratch detectors, into `work_dirs/merged_fifth_scratch.pth`.
"""

from mmengine.config import read_base

with read_base():
    from .uvtr_fusion_convnext_s_vs0p075_4xb2_12e_nuscenes_fifth import *

model.init_cfg.checkpoint = "work_dirs/merged_fifth_scratch.pth"
