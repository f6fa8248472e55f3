"""Camera pre-training, tiny, on synthetic street scenes: minutes on 2 CPU cores; what `make demo` runs.

The tiny key-frame model with coarser cells (1 m), on many frames instead of one; see `_base_/tiny_synthetic.py`.
Colours are compared as published, and occupancy from LiDAR is a loss as well.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.tiny_synthetic import *
    from .ponderv2_camera_keyframe import model

model.encoder.grid.size = (108, 108, 8)
model.head.objective = "occupancy"
model.head.sampler.update(num_proposals=32, num_important=16)
