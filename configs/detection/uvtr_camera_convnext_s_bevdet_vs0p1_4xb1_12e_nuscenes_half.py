"""Camera detection, the ablation with the lift of BEVDet (PonderV2, table 18): UVTR's head, half of the frames.

Hardware: 4 A100, one frame each (published setting: 4 GPUs), 42,204 iterations; neither memory nor time measured yet.
Aims at: 32.7 / 32.8 NDS / mAP on nuScenes val, from ImageNet alone 27.1 / 24.6 (UniPAD#9). Starts from
`pretrain/ponderv2_camera_convnext_s_bevdet_vs0p1_4xb1_12e_nuscenes`; three convolutions after the lift are new.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.encoders import camera_bevdet_51m_finetuned
    from .uvtr_camera_convnext_s_vs0p1_4xb1_12e_nuscenes_half import *

model = dict(
    model,
    init_cfg=dict(
        checkpoint="work_dirs/ponderv2_camera_convnext_s_bevdet_vs0p1_4xb1_12e_nuscenes/encoder.safetensors",
        new=("convs",),
    ),
    encoder=camera_bevdet_51m_finetuned,
)
