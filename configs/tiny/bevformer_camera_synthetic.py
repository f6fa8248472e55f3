"""Camera detection, tiny, on synthetic street scenes: BEVFormer without history, 54×54 pillars of 2 m.

Minutes on 2 CPU cores. Images alone are read. Two encoder layers and three decoder layers of 64 channels; the image
backbone starts from `ponderv2_camera_bevformer_synthetic`. Data and schedule are those of `uvtr_camera_synthetic`.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.tiny import tiny_bevformer_detector, tiny_bevformer_head
    from .uvtr_camera_synthetic import *

model = dict(
    model,
    init_cfg=dict(
        checkpoint="work_dirs/ponderv2_camera_bevformer_synthetic/encoder.safetensors", parts=("img_backbone",)
    ),
    encoder=tiny_bevformer_detector,
    head=tiny_bevformer_head,
)
