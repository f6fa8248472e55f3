"""Camera detection: BEVFormer-tiny without history, 50×50 pillars, ResNet-50, images of 800×450.

Hardware: 8 A100, one frame each (published setting: 8 GPUs), 84,408 iterations; neither memory nor time measured yet.
No published row without history; with history, published: 35.4 / 25.2 NDS / mAP on nuScenes val.
Starts from ImageNet-1k: there is no pre-training of a ResNet-50 yet, and `--scratch` changes nothing. Otherwise
`bevformer_static_base_r101_8xb1_24e_nuscenes` at another size.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.bevformer import bevformer_tiny
    from .bevformer_static_base_r101_8xb1_24e_nuscenes import *

from ponderv2.datasets import MultiViewResizeCropFlipRotate

model = dict(model, init_cfg=None, encoder=bevformer_tiny)
scratch = {}

# Data: the smaller images are evaluated, too.
shrink = dict(type=MultiViewResizeCropFlipRotate, resize=(0.5, 0.5))
train_dataset = dict(train_dataset, pipeline=[load_cameras, shrink, load_boxes, photometric, in_51m, grid_mask, pack])
train_dataloader = dict(train_dataloader, dataset=train_dataset)
val_dataloader = dict(val_dataloader, dataset=dict(val_dataset, pipeline=[load_cameras, shrink, pack]))
test_dataloader = val_dataloader
