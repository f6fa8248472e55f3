"""nuScenes key frames: data sets and loaders, which lack a pipeline, and the named steps that pipelines are made of.

A recipe puts them together with `dict(part, key=value)`, a copy of the part with some entries replaced:

    train_dataloader = dict(
        train_loader,
        batch_size=4,
        dataset=dict(boxes_dataset, ann_file="nuscenes_infos_train.pkl", pipeline=[load_sweeps, load_boxes, pack]),
    )

Boxes have at least one LiDAR or radar point (`use_valid_flag`). Training draws nine of ten earlier sweeps at random;
evaluation takes the nearest nine, where the published code draws as well.
"""

from mmdet3d.datasets.transforms import LoadAnnotations3D, ObjectRangeFilter
from mmengine.dataset import DefaultSampler, pseudo_collate

from ponderv2.datasets import (
    GroundTruthSampling,
    LoadCameras,
    LoadCanBus,
    LoadLidarSweeps,
    MultiViewGridMask,
    MultiViewPhotometricDistortion,
    PackSensorInputs,
    PonderNuScenesDataset,
    PonderNuScenesDetDataset,
    SampleCameraRays,
    UnifiedRotScaleTransFlip,
)

# Data sets and loaders
frames_dataset = dict(type=PonderNuScenesDataset, data_root="data/nuscenes")
boxes_dataset = dict(type=PonderNuScenesDetDataset, data_root="data/nuscenes", use_valid_flag=True)
loading = dict(num_workers=4, persistent_workers=True, collate_fn=dict(type=pseudo_collate))
train_loader = dict(sampler=dict(type=DefaultSampler, shuffle=True), **loading)
eval_loader = dict(batch_size=1, sampler=dict(type=DefaultSampler, shuffle=False), **loading)

# Loading
load_cameras = dict(type=LoadCameras)
load_can_bus = dict(type=LoadCanBus)
load_calibration = dict(type=LoadCameras, decode=False)
load_sweep = dict(type=LoadLidarSweeps, num_sweeps=0)
load_sweeps = dict(type=LoadLidarSweeps, num_sweeps=9)
load_nearest_sweeps = dict(type=LoadLidarSweeps, num_sweeps=9, test_mode=True)
load_boxes = dict(type=LoadAnnotations3D, with_bbox_3d=True, with_label_3d=True)
pack = dict(type=PackSensorInputs)

# Augmentation: `turn` is the milder one, of the cameras and of pre-training (UVTR, UniPAD)
turn = dict(type=UnifiedRotScaleTransFlip, rotation=(-0.3925, 0.3925), scale=(0.95, 1.05))
turn_and_flip = dict(
    type=UnifiedRotScaleTransFlip,
    rotation=(-0.785, 0.785),
    scale=(0.9, 1.1),
    translation_std=(0.5, 0.5, 0.5),
    flip_x=0.5,
    flip_y=0.5,
)
photometric = dict(type=MultiViewPhotometricDistortion)
grid_mask = dict(type=MultiViewGridMask, prob=0.7, ratio=0.5, mode=1)
sample_objects = dict(type=GroundTruthSampling, data_root="data/nuscenes")

# What the volume of ±54 m limits: boxes to detect, and rays to render
point_cloud_range = (-54.0, -54.0, -5.0, 54.0, 54.0, 3.0)
in_range = dict(type=ObjectRangeFilter, point_cloud_range=point_cloud_range)
rays = dict(
    type=SampleCameraRays, point_cloud_range=point_cloud_range, radius=(3.0, 100.0), rays_per_camera=512, split="train"
)
