"""Camera detection, tiny, on synthetic street scenes: CenterPoint's head on the lift of BEVFormer.

Minutes on 2 CPU cores. `center_camera_synthetic` on the encoder of `ponderv2_camera_bevformer_synthetic`.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.tiny import tiny_bevformer_encoder
    from .center_camera_synthetic import *

model = dict(
    model,
    init_cfg=dict(checkpoint="work_dirs/ponderv2_camera_bevformer_synthetic/encoder.safetensors"),
    encoder=tiny_bevformer_encoder,
)
