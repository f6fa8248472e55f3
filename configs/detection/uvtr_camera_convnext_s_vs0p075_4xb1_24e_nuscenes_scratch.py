"""The scratch twin of UniPAD's final camera model: from ImageNet weights of the backbone alone.

Hardware: as its twin. No published row.
"""

from mmengine.config import read_base

with read_base():
    from .uvtr_camera_convnext_s_vs0p075_4xb1_24e_nuscenes import *

model.init_cfg = None
model.encoder.img_backbone.weights = "facebook/convnext-small-224"
