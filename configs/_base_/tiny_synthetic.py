"""Synthetic streets for the tiny recipes, and their schedule.

`--data-root` is a folder that tools/make_synthetic_nuscenes.py and tools/create_data.py have filled, with images of
400×225. Evaluated are frames of scenes that were never trained on, in the published choice of rays and with nothing
hidden.
"""

from mmengine.config import read_base

with read_base():
    from .runtime import *

from mmengine.dataset import DefaultSampler, InfiniteSampler, pseudo_collate
from mmengine.optim import OneCycleLR, OptimWrapper
from mmengine.runner import IterBasedTrainLoop
from torch.optim import AdamW

from ponderv2.datasets import LoadCameras, LoadLidarSweeps, PackSensorInputs, PonderNuScenesDataset, SampleRays
from ponderv2.engine import EncoderExportHook, RenderPreviewHook
from ponderv2.evaluation import RenderMetric

max_iters = 360
load_cameras = dict(type=LoadCameras)
load_sweeps = dict(type=LoadLidarSweeps)
rays = dict(type=SampleRays, point_cloud_range=(-54.0, -54.0, -5.0, 54.0, 54.0, 3.0), radius=(3.0, 54.0))
train_rays = rays | dict(rays_per_camera=128, lidar_share=0.75, sky_region=0.0)
val_rays = rays | dict(rays_per_camera=512, split="all", seed=0)
pack = dict(type=PackSensorInputs)

dataset = dict(type=PonderNuScenesDataset, data_root="data/synthetic")
loading = dict(batch_size=1, collate_fn=dict(type=pseudo_collate))
train_dataloader = dict(
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type=InfiniteSampler, shuffle=True),
    dataset=dataset
    | dict(ann_file="nuscenes_infos_train.pkl", pipeline=[load_cameras, load_sweeps, train_rays, pack]),
    **loading,
)
val_dataloader = dict(
    num_workers=0,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dataset
    | dict(ann_file="nuscenes_infos_val.pkl", test_mode=True, pipeline=[load_cameras, load_sweeps, val_rays, pack]),
    **loading,
)
test_dataloader = val_dataloader
val_evaluator = dict(type=RenderMetric)
test_evaluator = val_evaluator

train_cfg = dict(type=IterBasedTrainLoop, max_iters=max_iters, val_interval=max_iters)
optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=AdamW, lr=3e-3, betas=(0.9, 0.99), weight_decay=0.01),
    clip_grad=dict(max_norm=35, norm_type=2),
)
param_scheduler = [dict(type=OneCycleLR, eta_max=3e-3, total_steps=max_iters, pct_start=0.15, by_epoch=False)]
default_hooks.update(checkpoint=dict(type=CheckpointHook, by_epoch=False, interval=100, max_keep_ckpts=2))
log_processor.update(by_epoch=False)
custom_hooks = [dict(type=RenderPreviewHook, interval=max_iters, stride=4), dict(type=EncoderExportHook)]
