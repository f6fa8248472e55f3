"""Camera pre-training for BEVFormer-base and -small: ResNet-101 and neck of base, deformable lift to 128×128×5 cells.

Hardware: 4 A100, one frame each, 84,396 iterations; neither memory nor time measured yet. None published. A volume of
pillars cannot be rendered, so the lift is the one of PonderV2's table 18; the detector takes backbone and neck.
Starts from ImageNet-1k. Everything else is that of `ponderv2_camera_convnext_s_vs0p1_4xb1_12e_nuscenes`.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.bevformer import bevformer_pretraining
    from .ponderv2_camera_convnext_s_vs0p1_4xb1_12e_nuscenes import *

model = dict(
    model,
    encoder=bevformer_pretraining,
    head=dict(type=RenderHead, in_channels=256, render_channels=32, hidden_channels=16),
)
