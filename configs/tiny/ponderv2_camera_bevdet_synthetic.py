"""Camera pre-training, tiny, on synthetic street scenes, with the lift of BEVDet: minutes on 2 CPU cores.

`ponderv2_camera_synthetic` with another lift: splat from two maps (strides 8 and 16), depths that nothing supervises.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.tiny import tiny_bevdet_encoder
    from .ponderv2_camera_synthetic import *

model = dict(model, encoder=tiny_bevdet_encoder)
