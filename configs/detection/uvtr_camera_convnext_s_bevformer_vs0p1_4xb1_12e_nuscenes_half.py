"""Camera detection, the ablation with the lift of BEVFormer (PonderV2, table 18): UVTR's head, half of the frames.

Hardware: 4 A100, one frame each (published setting: 4 GPUs), 42,204 iterations; neither memory nor time measured yet.
Aims at: 5.2 to 6.3 NDS on nuScenes val more than from ImageNet, the range that PonderV2 gives for its three lifts
(published). Starts from
`pretrain/ponderv2_camera_convnext_s_bevformer_vs0p1_4xb1_12e_nuscenes`; three convolutions after the lift are new.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.encoders import camera_bevformer_51m_finetuned
    from .uvtr_camera_convnext_s_vs0p1_4xb1_12e_nuscenes_half import *

model = dict(
    model,
    init_cfg=dict(
        checkpoint="work_dirs/ponderv2_camera_convnext_s_bevformer_vs0p1_4xb1_12e_nuscenes/encoder.safetensors",
        new=("convs",),
    ),
    encoder=camera_bevformer_51m_finetuned,
)
