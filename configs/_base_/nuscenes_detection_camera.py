"""nuScenes key frames for camera detection: six images with distorted colours and a grid mask, turned and scaled.

UVTR's and UniPAD's camera recipe: rotation ±0.3925, scale 0.95–1.05, no flip, no paste. The LiDAR is loaded in
training, ten sweeps as published, as the target of the depth loss; a recipe without that loss sets
`train_dataloader.dataset.pipeline = without_points`. Evaluation reads images alone.
"""

from mmengine.config import read_base

with read_base():
    from .nuscenes_detection_loaders import *

from ponderv2.datasets import (
    LoadCameras,
    LoadLidarSweeps,
    MultiViewGridMask,
    MultiViewPhotometricDistortion,
    UnifiedRotScaleTransFlip,
)

load_cameras = dict(type=LoadCameras)
load_sweeps = dict(type=LoadLidarSweeps, num_sweeps=9)
photometric = dict(type=MultiViewPhotometricDistortion)
augment = dict(type=UnifiedRotScaleTransFlip, rotation=(-0.3925, 0.3925), scale=(0.95, 1.05))
grid_mask = dict(type=MultiViewGridMask, prob=0.7, ratio=0.5, mode=1)
augmentation = [photometric, augment, in_range, grid_mask]
with_points = [load_cameras, load_sweeps, load_boxes, *augmentation, pack]
without_points = [load_cameras, load_boxes, *augmentation, pack]
train_dataloader.dataset.pipeline = with_points
val_dataloader.dataset.pipeline = [load_cameras, pack]
test_dataloader = val_dataloader
