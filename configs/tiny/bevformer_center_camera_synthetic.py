"""Camera detection, tiny, on synthetic street scenes: CenterPoint's head on BEVFormer's pillars, without history.

Minutes on 2 CPU cores. The static one of two that `tools/velocity_errors.py` compares; every box and its velocity are
learned where it stands from the first step on, which few steps need. Otherwise `bevformer_camera_synthetic`.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.tiny import tiny_bevformer_center_head, tiny_bevformer_detector
    from .uvtr_camera_synthetic import *

model = dict(
    model,
    init_cfg=dict(
        checkpoint="work_dirs/ponderv2_camera_bevformer_synthetic/encoder.safetensors", parts=("img_backbone",)
    ),
    encoder=tiny_bevformer_detector,
    head=tiny_bevformer_center_head,
)
