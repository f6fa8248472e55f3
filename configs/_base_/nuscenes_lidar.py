"""nuScenes key frames for LiDAR pre-training: ten sweeps, calibration, rays with depth alone; no image is opened.

Published: 9 earlier sweeps out of 10, at random in training; rotation, scale; targets from all ten sweeps. The
published code draws sweeps at random also in evaluation; here the nearest are taken.
"""

from mmengine.config import read_base

with read_base():
    from .nuscenes_loaders import *

from ponderv2.datasets import LoadCameras, LoadLidarSweeps, PackSensorInputs, SampleRays, UnifiedRotScaleTransFlip

load_cameras = dict(type=LoadCameras, decode=False)
load_sweeps = dict(type=LoadLidarSweeps, num_sweeps=9)
augment = dict(type=UnifiedRotScaleTransFlip, rotation=(-0.3925, 0.3925), scale=(0.95, 1.05))
ray_targets = dict(
    type=SampleRays,
    point_cloud_range=(-54.0, -54.0, -5.0, 54.0, 54.0, 3.0),
    radius=(3.0, 100.0),
    rays_per_camera=512,
    color=False,
)
pack = dict(type=PackSensorInputs)
train_dataloader.batch_size = 4
train_dataloader.dataset.pipeline = [load_cameras, load_sweeps, augment, ray_targets, pack]
every_ray = ray_targets | dict(split="all", seed=0)
val_dataloader.dataset.pipeline = [load_cameras, load_sweeps | dict(test_mode=True), every_ray, pack]
test_dataloader = val_dataloader
