"""Camera detection: BEVFormer-small with history, 150×150 pillars, ResNet-101, images of 1280×720.

Hardware: 8 A100, one frame each (published setting: 8 GPUs), 84,408 iterations; neither memory nor time measured yet.
Aims at: 47.9 / 37.0 NDS / mAP on nuScenes val (published).
Published with a ResNet-101 with deformable convolutions from FCOS3D; here with plain ones.
In training two earlier key frames out of 3 are read, without gradients; in evaluation the plane of the last one.
The car's signals (CAN bus) are read as published; where a scene has none, they are zeros.
Otherwise, and in what it starts from, `bevformer_static_small_r101_8xb1_24e_nuscenes`.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.bevformer import bevformer_small
    from .._base_.nuscenes import load_can_bus
    from .bevformer_static_base_r101_8xb1_24e_nuscenes import *

from ponderv2.datasets import MultiViewResizeCropFlipRotate
from ponderv2.engine import SceneSampler
from ponderv2.models import TemporalDetector

model = dict(
    model,
    type=TemporalDetector,
    init_cfg=dict(model.init_cfg, parts=("img_backbone",)),
    encoder=dict(bevformer_small, lift=dict(bevformer_small.lift, history=True, can_bus=True)),
)

# Data: the smaller images are evaluated, too.
shrink = dict(type=MultiViewResizeCropFlipRotate, resize=(0.8, 0.8))
train_dataset = dict(
    train_dataset,
    history=2,
    draw_history=True,
    pipeline=[load_cameras, load_can_bus, shrink, load_boxes, photometric, in_51m, grid_mask, pack],
)
train_dataloader = dict(train_dataloader, dataset=train_dataset)
val_dataloader = dict(
    val_dataloader,
    sampler=dict(type=SceneSampler),
    dataset=dict(val_dataset, pipeline=[load_cameras, load_can_bus, shrink, pack]),
)
test_dataloader = val_dataloader
