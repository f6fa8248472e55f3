"""One key frame for the tiny recipes: quarter-size images, one sweep, rays in a tenth of the image tiles held out.

`--data-root` is a folder with `nuscenes_infos_keyframe.pkl` and `samples/`. Held-out rays are never trained on; they
are what is evaluated, in the published choice of rays and with nothing hidden.
"""

from mmengine.config import read_base

with read_base():
    from .tiny import *

from mmengine.optim import CosineAnnealingLR, LinearLR

from ponderv2.datasets import (
    LoadCameras,
    LoadLidarSweeps,
    MultiViewResizeCropFlipRotate,
    PonderNuScenesDataset,
    SampleRays,
)

load_cameras = dict(type=LoadCameras)
load_sweeps = dict(type=LoadLidarSweeps)
quarter = dict(type=MultiViewResizeCropFlipRotate, resize=(0.25, 0.25))
rays = dict(type=SampleRays, point_cloud_range=point_cloud_range, radius=(3.0, 54.0), holdout=0.1, tile=16)
train_rays = rays | dict(rays_per_camera=144, split="train")
heldout_rays = rays | dict(rays_per_camera=512, split="heldout", seed=0)
dataset = dict(type=PonderNuScenesDataset, data_root="data/nuscenes", ann_file="nuscenes_infos_keyframe.pkl")
train_dataloader.dataset = dataset | dict(pipeline=[load_cameras, load_sweeps, quarter, train_rays, pack])
val_dataloader.dataset = dataset | dict(
    test_mode=True, pipeline=[load_cameras, load_sweeps, quarter, heldout_rays, pack]
)
test_dataloader = val_dataloader

# A recipe sets where the second one ends.
param_scheduler = [
    dict(type=LinearLR, start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type=CosineAnnealingLR, eta_min=1e-5, by_epoch=False, begin=50),
]
