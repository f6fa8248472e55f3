"""Camera pre-training, tiny, on synthetic street scenes, with the lift of BEVDepth: minutes on 2 CPU cores.

`ponderv2_camera_synthetic` with another lift: splat from two maps (strides 8 and 16), a depth network that is told of
the cameras. Points supervise depths in fine-tuning alone, as published.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.tiny import tiny_bevdepth_encoder
    from .ponderv2_camera_synthetic import *

model = dict(model, encoder=tiny_bevdepth_encoder)
