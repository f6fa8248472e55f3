"""LiDAR pre-training, tiny, on synthetic street scenes: minutes on 2 CPU cores.

The tiny key-frame model with coarser cells (1 m), on many frames instead of one; see `_base_/tiny_synthetic.py`. No
image is opened.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.tiny_synthetic import *
    from .ponderv2_lidar_keyframe import model

model.encoder.grid.size = (108, 108, 8)
model.encoder.voxel_size = (0.125, 0.125, 0.125)
model.head.sampler.update(num_proposals=32, num_important=16)

load_cameras.update(decode=False)
train_rays.update(color=False)
val_rays.update(color=False)
train_dataloader.dataset.pipeline = [load_cameras, load_sweeps, train_rays, pack]
val_dataloader.dataset.pipeline = [load_cameras, load_sweeps, val_rays, pack]
test_dataloader = val_dataloader
