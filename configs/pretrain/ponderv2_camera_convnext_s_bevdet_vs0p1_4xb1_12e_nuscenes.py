"""Camera pre-training of the ablation with the lift of BEVDet (PonderV2, table 18): `…vs0p1…` with another lift.

Hardware: 4 A100 (published setting: 4 GPUs, one frame each), 84,396 iterations; neither memory nor time measured yet.
Aims at: 32.7 / 32.8 NDS / mAP after fine-tuning on half the data (published, UniPAD#9). The lift: splat from two maps
(strides 16 and 32), depths that nothing supervises. Everything else is that of
`ponderv2_camera_convnext_s_vs0p1_4xb1_12e_nuscenes`.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.encoders import camera_bevdet_51m
    from .ponderv2_camera_convnext_s_vs0p1_4xb1_12e_nuscenes import *

model = dict(model, encoder=camera_bevdet_51m)
