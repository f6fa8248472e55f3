"""Camera detection: BEVFormer-base with history, 200×200 pillars, ResNet-101, images at full size.

Hardware: 8 A100, one frame each (published setting: 8 GPUs), 84,408 iterations; neither memory nor time measured yet.
Aims at: 51.7 / 41.6 NDS / mAP on nuScenes val (published).
Published with a ResNet-101 with deformable convolutions from FCOS3D; here with plain ones.
In training three earlier key frames out of 4 are read, without gradients; in evaluation the plane of the last one.
The car's signals (CAN bus) are read as published; where a scene has none, they are zeros.
Otherwise, and in what it starts from, `bevformer_static_base_r101_8xb1_24e_nuscenes`.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.nuscenes import load_can_bus
    from .bevformer_static_base_r101_8xb1_24e_nuscenes import *

from ponderv2.engine import SceneSampler
from ponderv2.models import TemporalDetector

model = dict(
    model,
    type=TemporalDetector,
    encoder=dict(model.encoder, lift=dict(model.encoder.lift, history=True, can_bus=True)),
)

# Data
train_dataset = dict(
    train_dataset,
    history=3,
    draw_history=True,
    pipeline=[load_cameras, load_can_bus, load_boxes, photometric, in_51m, grid_mask, pack],
)
train_dataloader = dict(train_dataloader, dataset=train_dataset)
val_dataloader = dict(
    val_dataloader,
    sampler=dict(type=SceneSampler),
    dataset=dict(val_dataset, pipeline=[load_cameras, load_can_bus, pack]),
)
test_dataloader = val_dataloader
