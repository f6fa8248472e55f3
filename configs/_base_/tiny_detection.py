"""Synthetic streets with boxes for the tiny detectors: loaders, schedule, official scoring.

`--data-root` is a folder that tools/make_synthetic_nuscenes.py and tools/create_data.py have filled, with images of
400×225. Scored are the scenes of mini_val, none of which is trained on. No rotation or flip is published for so little
data; mild ones are drawn for all sensors alike.
"""

from mmengine.config import read_base

with read_base():
    from .runtime import *

from mmdet3d.datasets.transforms import LoadAnnotations3D, ObjectRangeFilter
from mmengine.dataset import DefaultSampler, InfiniteSampler, pseudo_collate
from mmengine.optim import OneCycleLR, OptimWrapper
from mmengine.runner import IterBasedTrainLoop
from torch.optim import AdamW

from ponderv2.datasets import (
    LoadCameras,
    LoadLidarSweeps,
    PackSensorInputs,
    PonderNuScenesDetDataset,
    UnifiedRotScaleTransFlip,
)
from ponderv2.engine import CheckedOptimWrapperConstructor
from ponderv2.evaluation import PonderNuScenesMetric

point_cloud_range = (-54.0, -54.0, -5.0, 54.0, 54.0, 3.0)
load_cameras = dict(type=LoadCameras)
load_sweeps = dict(type=LoadLidarSweeps)
load_boxes = dict(type=LoadAnnotations3D, with_bbox_3d=True, with_label_3d=True)
augment = dict(type=UnifiedRotScaleTransFlip, rotation=(-0.3925, 0.3925), scale=(0.95, 1.05))
in_range = dict(type=ObjectRangeFilter, point_cloud_range=point_cloud_range)
pack = dict(type=PackSensorInputs)

loading = dict(batch_size=1, collate_fn=dict(type=pseudo_collate))
dataset = dict(type=PonderNuScenesDetDataset, data_root="data/synthetic")
train_dataloader = dict(
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type=InfiniteSampler, shuffle=True),
    dataset=dataset | dict(ann_file="nuscenes_infos_train.pkl"),
    **loading,
)
val_dataloader = dict(
    num_workers=0,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dataset | dict(ann_file="nuscenes_infos_val.pkl", test_mode=True),
    **loading,
)
val_evaluator = dict(type=PonderNuScenesMetric, data_root=dataset["data_root"], ann_file="nuscenes_infos_val.pkl")
test_evaluator = val_evaluator

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
