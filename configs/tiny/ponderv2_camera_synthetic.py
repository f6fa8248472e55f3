"""Camera pre-training, tiny, on synthetic street scenes: about 4 minutes on 2 CPU cores; what `make demo` runs.

The tiny key-frame recipe with coarser cells (1 m), on many frames instead of one. `--data-root` is a folder that
tools/make_synthetic_nuscenes.py and tools/create_data.py have filled, with images of 400×225. Evaluated are frames
of scenes that were never trained on, in the published choice of rays and with nothing hidden.
"""

from mmengine.config import read_base

with read_base():
    from .ponderv2_camera_keyframe import *

from mmengine.optim import OneCycleLR

max_iters = 360
model.encoder.grid.size = (108, 108, 8)
model.encoder.num_convs = 0
model.head.sampler.update(num_proposals=32, num_important=16)

load = [dict(type=LoadCameras), dict(type=LoadLidarSweeps)]
rays = dict(type=SampleRays, point_cloud_range=point_cloud_range, radius=(3.0, 54.0))
train_rays = rays | dict(rays_per_camera=128, lidar_share=0.75, sky_region=0.0)
val_rays = rays | dict(rays_per_camera=512, split="all", seed=0)

dataset = dict(type=PonderNuScenesDataset, data_root="data/synthetic")
train_dataset = dataset | dict(ann_file="nuscenes_infos_train.pkl", pipeline=[*load, train_rays, pack])
val_dataset = dataset | dict(ann_file="nuscenes_infos_val.pkl", test_mode=True, pipeline=[*load, val_rays, pack])
train_dataloader.update(dataset=train_dataset)
val_dataloader.update(dataset=val_dataset)
test_dataloader = val_dataloader

train_cfg.update(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [dict(type=OneCycleLR, eta_max=3e-3, total_steps=max_iters, pct_start=0.15, by_epoch=False)]
custom_hooks = [dict(type=RenderPreviewHook, interval=max_iters, stride=4), dict(type=EncoderExportHook)]
