"""Camera pre-training, tiny, on synthetic street scenes, with the lift of BEVFormer: minutes on 2 CPU cores.

`ponderv2_camera_synthetic` with another lift: a query for every cell, which reads two maps by deformable attention.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.tiny import tiny_bevformer_encoder
    from .ponderv2_camera_synthetic import *

model = dict(model, encoder=tiny_bevformer_encoder)
