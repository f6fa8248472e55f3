"""Tiny detectors on synthetic streets: one frame a batch, a schedule of minutes, and a model that lacks its encoder.

`--data-root` is a folder that tools/make_synthetic_nuscenes.py and tools/create_data.py have filled, with images of
400×225. Scored are the scenes of its validation split, none of which is trained on. No rotation or flip is published
for so little data; mild ones are drawn for all sensors alike.

The head is the published one of the camera ablation with few queries and layers, but with 128 channels: with as few as
the volume has it learns much more slowly. A recipe sets `model.encoder`, that of a pre-training, and where
`model.init_cfg` finds it; `--cfg-options model.init_cfg=None` trains the scratch twin.
"""

from mmengine.config import read_base

with read_base():
    from .nuscenes_detection_loaders import *
    from .nuscenes_scoring import *
    from .runtime import *

from mmengine.dataset import InfiniteSampler
from mmengine.optim import OneCycleLR, OptimWrapper
from mmengine.runner import IterBasedTrainLoop
from torch.optim import AdamW

from ponderv2.datasets import LoadCameras, LoadLidarSweeps, UnifiedRotScaleTransFlip
from ponderv2.engine import CheckedOptimWrapperConstructor
from ponderv2.heads import UVTRHead
from ponderv2.models import SensorPreprocessor, VolumeDetector

load_cameras = dict(type=LoadCameras)
load_sweeps = dict(type=LoadLidarSweeps)
augment = dict(type=UnifiedRotScaleTransFlip, rotation=(-0.3925, 0.3925), scale=(0.95, 1.05))

train_dataloader.update(num_workers=1, sampler=dict(type=InfiniteSampler, shuffle=True))
val_dataloader.update(num_workers=0, persistent_workers=False)
for reader in (train_dataloader.dataset, val_dataloader.dataset, val_evaluator):
    reader.update(data_root="data/synthetic")
del reader

model = dict(
    type=VolumeDetector,
    data_preprocessor=dict(type=SensorPreprocessor),
    head=dict(
        type=UVTRHead,
        in_channels=32,
        channels=128,
        num_classes=10,
        num_queries=200,
        num_layers=3,
        # Not all tiny encoders end with a normed convolution, as published ones do.
        volume_norm=True,
    ),
)

max_iters = 300
train_cfg = dict(type=IterBasedTrainLoop, max_iters=max_iters, val_interval=max_iters)
optim_wrapper = dict(
    type=OptimWrapper,
    constructor=CheckedOptimWrapperConstructor,
    optimizer=dict(type=AdamW, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.01),
    clip_grad=dict(max_norm=35, norm_type=2),
)
param_scheduler = [dict(type=OneCycleLR, eta_max=1e-3, total_steps=max_iters, pct_start=0.15, by_epoch=False)]
default_hooks.update(checkpoint=dict(type=CheckpointHook, by_epoch=False, interval=100, max_keep_ckpts=1))
log_processor.update(by_epoch=False)
