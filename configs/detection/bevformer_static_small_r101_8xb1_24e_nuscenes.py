"""Camera detection: BEVFormer-small without history, 150×150 pillars, ResNet-101, images of 1280×720.

Hardware: 8 A100, one frame each (published setting: 8 GPUs), 84,408 iterations; neither memory nor time measured yet.
No published row without history; with history, published: 47.9 / 37.0 NDS / mAP on nuScenes val.
Starts from the backbone of `pretrain/ponderv2_camera_r101_bevformer_vs0p1_4xb1_12e_nuscenes`; its neck has one map.
Otherwise `bevformer_static_base_r101_8xb1_24e_nuscenes` at another size.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.bevformer import bevformer_small
    from .bevformer_static_base_r101_8xb1_24e_nuscenes import *

from ponderv2.datasets import MultiViewResizeCropFlipRotate

model = dict(model, init_cfg=dict(model.init_cfg, parts=("img_backbone",)), encoder=bevformer_small)

# Data: the smaller images are evaluated, too.
shrink = dict(type=MultiViewResizeCropFlipRotate, resize=(0.8, 0.8))
train_dataset = dict(train_dataset, pipeline=[load_cameras, shrink, load_boxes, photometric, in_51m, grid_mask, pack])
train_dataloader = dict(train_dataloader, dataset=train_dataset)
val_dataloader = dict(val_dataloader, dataset=dict(val_dataset, pipeline=[load_cameras, shrink, pack]))
test_dataloader = val_dataloader
