"""Synthetic streets for the tiny recipes, and their schedule.

`--data-root` is a folder that tools/make_synthetic_nuscenes.py and tools/create_data.py have filled, with images of
400×225. Evaluated are frames of scenes that were never trained on, in the published choice of rays and with nothing
hidden.
"""

from mmengine.config import read_base

with read_base():
    from .tiny import *

from mmengine.optim import OneCycleLR

from ponderv2.datasets import LoadCameras, LoadLidarSweeps, PonderNuScenesDataset, SampleRays

max_iters = 360
load_cameras = dict(type=LoadCameras)
load_sweeps = dict(type=LoadLidarSweeps)
rays = dict(type=SampleRays, point_cloud_range=point_cloud_range, radius=(3.0, 54.0))
train_rays = rays | dict(rays_per_camera=128, lidar_share=0.75, sky_region=0.0)
val_rays = rays | dict(rays_per_camera=512, split="all", seed=0)
dataset = dict(type=PonderNuScenesDataset, data_root="data/synthetic")
train_dataloader.dataset = dataset | dict(
    ann_file="nuscenes_infos_train.pkl", pipeline=[load_cameras, load_sweeps, train_rays, pack]
)
val_dataloader.dataset = dataset | dict(
    ann_file="nuscenes_infos_val.pkl", test_mode=True, pipeline=[load_cameras, load_sweeps, val_rays, pack]
)
test_dataloader = val_dataloader

train_cfg.update(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [dict(type=OneCycleLR, eta_max=3e-3, total_steps=max_iters, pct_start=0.15, by_epoch=False)]
custom_hooks[0].update(interval=max_iters)
