"""Camera pre-training of the ablation with the lift of BEVFormer (PonderV2, table 18): `…vs0p1…` with another lift.

Hardware: 4 A100 (published setting: 4 GPUs, one frame each), 84,396 iterations; neither memory nor time measured yet.
Aims at: 5.2 to 6.3 NDS more than from ImageNet after fine-tuning on half the data, the range that PonderV2 gives for
its three lifts (published). The lift: a query for every cell, which reads four maps by
deformable attention. Everything else is that of
`ponderv2_camera_convnext_s_vs0p1_4xb1_12e_nuscenes`.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.encoders import camera_bevformer_51m
    from .ponderv2_camera_convnext_s_vs0p1_4xb1_12e_nuscenes import *

model = dict(model, encoder=camera_bevformer_51m)
