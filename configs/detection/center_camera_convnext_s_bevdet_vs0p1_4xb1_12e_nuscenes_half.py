"""Camera detection, the lift and the kind of head of BEVDet: CenterPoint's on half of the frames, for comparison.

Hardware: 4 A100, one frame each, 42,204 iterations; neither memory nor time measured yet. No published row: PonderV2's
table 18 has UVTR's head, and BEVDet other images, augmentation and length.
Starts from `pretrain/ponderv2_camera_convnext_s_bevdet_vs0p1_4xb1_12e_nuscenes`; three convolutions are new.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.center_heads import center_head_51m
    from .._base_.encoders import camera_bevdet_51m_finetuned
    from .uvtr_camera_convnext_s_vs0p1_4xb1_12e_nuscenes_half import *

model = dict(
    model,
    init_cfg=dict(
        checkpoint="work_dirs/ponderv2_camera_convnext_s_bevdet_vs0p1_4xb1_12e_nuscenes/encoder.safetensors",
        new=("convs",),
    ),
    encoder=camera_bevdet_51m_finetuned,
    head=center_head_51m,
)
