"""nuScenes key frames for joint pre-training of cameras and LiDAR: images, ten sweeps, rays with colour and depth."""

from mmengine.config import read_base

with read_base():
    from .nuscenes_loaders import *

from ponderv2.datasets import LoadCameras, LoadLidarSweeps, PackSensorInputs, SampleRays, UnifiedRotScaleTransFlip

load_cameras = dict(type=LoadCameras)
load_sweeps = dict(type=LoadLidarSweeps, num_sweeps=9)
augment = dict(type=UnifiedRotScaleTransFlip, rotation=(-0.3925, 0.3925), scale=(0.95, 1.05))
ray_targets = dict(
    type=SampleRays,
    point_cloud_range=(-54.0, -54.0, -5.0, 54.0, 54.0, 3.0),
    radius=(3.0, 100.0),
    rays_per_camera=512,
    # Colours are those of the key frame; earlier returns would not fit them.
    max_lag=0.0,
)
pack = dict(type=PackSensorInputs)
train_dataloader.dataset.pipeline = [load_cameras, load_sweeps, augment, ray_targets, pack]
every_ray = ray_targets | dict(split="all", seed=0)
val_dataloader.dataset.pipeline = [load_cameras, load_sweeps | dict(test_mode=True), every_ray, pack]
test_dataloader = val_dataloader
