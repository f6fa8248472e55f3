"""nuScenes key frames for camera pre-training: six images, one sweep as target, rays.

A recipe sets `point_cloud_range` and `radius` in `ray_targets`; see `ponderv2.datasets.SampleRays`.
"""

from mmengine.config import read_base

with read_base():
    from .nuscenes_loaders import *

from ponderv2.datasets import LoadCameras, LoadLidarSweeps, PackSensorInputs, SampleRays

load = [dict(type=LoadCameras), dict(type=LoadLidarSweeps)]
ray_targets = dict(
    type=SampleRays,
    point_cloud_range=(-54.0, -54.0, -5.0, 54.0, 54.0, 3.0),
    radius=(3.0, 100.0),
    rays_per_camera=512,
)
pack = dict(type=PackSensorInputs)
train_dataloader.dataset.pipeline = [*load, ray_targets, pack]
val_dataloader.dataset.pipeline = [*load, ray_targets | dict(split="all", seed=0), pack]
test_dataloader = val_dataloader
