"""Camera detection, tiny, on synthetic street scenes: CenterPoint's head on the lift of BEVDet.

Minutes on 2 CPU cores. `center_camera_synthetic` on the encoder of `ponderv2_camera_bevdet_synthetic`.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.tiny import tiny_bevdet_encoder
    from .center_camera_synthetic import *

model = dict(
    model,
    init_cfg=dict(checkpoint="work_dirs/ponderv2_camera_bevdet_synthetic/encoder.safetensors"),
    encoder=tiny_bevdet_encoder,
)
