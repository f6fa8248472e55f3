"""Segmentation of LiDAR points: data sets, loading, encoders and heads, which recipes put together.

The full-size encoders are those of pre-training, key by key, on voxels of 0.05 m in a range that holds the whole sweep,
as in the public baseline (Pointcept's SpUNet).
"""

from mmdet3d.datasets.transforms import RandomJitterPoints

from ponderv2.datasets import (
    GridSampling,
    LidarLaserMix,
    LidarPolarMix,
    LoadLidarSweeps,
    LoadPointLabels,
    PonderNuScenesSegDataset,
    UnifiedRotScaleTransFlip,
)
from ponderv2.encoders import LidarEncoder, VoxelMinkUNet, VoxelUNet
from ponderv2.evaluation import LidarSegMetric
from ponderv2.heads import PointSegmentationHead

# Data
labels_dataset = dict(type=PonderNuScenesSegDataset, data_root="data/nuscenes")
load_labels = dict(type=LoadPointLabels)
load_labels_to_score = dict(type=LoadPointLabels, evaluation=True)

# Augmentation of the public baseline; it samples its grid at random in training
turn_half = dict(
    type=UnifiedRotScaleTransFlip,
    rotation=(-3.14159265, 3.14159265),
    rotation_prob=0.5,
    scale=(0.9, 1.1),
    flip_x=0.5,
    flip_y=0.5,
)
jitter = dict(type=RandomJitterPoints, jitter_std=[0.005, 0.005, 0.005], clip_range=[-0.02, 0.02])
sample_grid = dict(type=GridSampling, cell_size=0.05)
# Options, right after `load_labels`; the public baseline has neither
_load_other = [dict(type=LoadLidarSweeps, num_sweeps=0), dict(type=LoadPointLabels)]
laser_mix = dict(type=LidarLaserMix, pre_transform=_load_other)
polar_mix = dict(type=LidarPolarMix, pre_transform=_load_other)

# Encoders
segmentation_unet = dict(
    type=LidarEncoder,
    # The volume is not read; its range is that of the voxels: 4096×4096×640 of them.
    grid=dict(point_cloud_range=(-102.4, -102.4, -12.8, 102.4, 102.4, 19.2), size=(128, 128, 4)),
    voxel_size=(0.05, 0.05, 0.05),
    max_points=None,
    max_voxels=None,
    feature_scale=(1.0, 1.0, 1.0, 1 / 255),
    mask_token=True,
    pts_middle_encoder=dict(type=VoxelUNet, in_channels=4),
    channels=96,
)
segmentation_mink_unet = dict(
    segmentation_unet, mask_token=False, pts_middle_encoder=dict(type=VoxelMinkUNet, in_channels=4)
)
# What a decoder probe trains: the way up of the U-Net
way_up = ("pts_middle_encoder.up", "pts_middle_encoder.decode")

# Heads: the baseline's, linear with cross entropy; with the Lovász loss, as with few labels (SLidR); and of probes
linear_head = dict(type=PointSegmentationHead, in_channels=96, loss=dict(lovasz=0.0))
lovasz_head = dict(type=PointSegmentationHead, in_channels=96)
probe_head = dict(type=PointSegmentationHead, in_channels=96, norm_features=True)

# Scores while training; those of a test with a submission are in the recipes
running_score = dict(type=LidarSegMetric)

# Tiny: two CPU cores
tiny_voxel_encoder = dict(
    type=LidarEncoder,
    grid=dict(point_cloud_range=(-54.0, -54.0, -5.0, 54.0, 54.0, 3.0), size=(108, 108, 8)),
    voxel_size=(0.25, 0.25, 0.25),
    max_points=None,
    max_voxels=None,
    # Numbers of order one.
    feature_scale=(1 / 54, 1 / 54, 1 / 5, 1 / 255),
    pts_middle_encoder=dict(
        type=VoxelUNet,
        in_channels=4,
        base_channels=16,
        channels=(16, 32, 48, 64, 64, 48, 32, 32),
        blocks=(1, 1, 1, 1, 1, 1, 1, 1),
        norm_cfg=dict(type="LN"),
    ),
    channels=32,
)
tiny_segmentation_head = dict(type=PointSegmentationHead, in_channels=32, hidden_channels=32)
tiny_probe_head = dict(type=PointSegmentationHead, in_channels=32, norm_features=True)
synthetic_labels_dataset = dict(type=PonderNuScenesSegDataset, data_root="data/synthetic")
