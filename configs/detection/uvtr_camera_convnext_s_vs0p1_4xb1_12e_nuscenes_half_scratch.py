"""The scratch twin of UniPAD's camera ablation: the same model and data from ImageNet weights of the backbone alone.

Hardware: as its twin. Published: 25.2 NDS / 23.0 mAP (derived from the gains in UniPAD's paper).
"""

from mmengine.config import read_base

with read_base():
    from .uvtr_camera_convnext_s_vs0p1_4xb1_12e_nuscenes_half import *

model.init_cfg = None
model.encoder.img_backbone.weights = "facebook/convnext-small-224"
