"""Transforms of a pipeline: loading, augmentation, ground-truth sampling, rays, packing."""

from .augment_2d import MultiViewPhotometricDistortion, MultiViewResizeCropFlipRotate
from .augment_3d import UnifiedRotScaleTransFlip
from .camera_rays import SampleCameraRays
from .grid_mask import MultiViewGridMask
from .gt_sampling import SAMPLE_GROUPS, GroundTruthSampling
from .image_digest import DigestImages
from .lidar_rays import SampleLidarRays
from .load_can_bus import LoadCanBus
from .loading import LoadCameras, LoadLidarSweeps
from .packing import PackSensorInputs
from .point_labels import LoadPointLabels
from .point_selection import GridSampling, LidarRangeFilter
from .ray_holdout import RayHoldout
from .sweep_mixing import LidarLaserMix, LidarPolarMix
from .switchable import SharedSwitch, SwitchableTransform

__all__ = [
    "SAMPLE_GROUPS",
    "DigestImages",
    "GridSampling",
    "GroundTruthSampling",
    "LidarLaserMix",
    "LidarPolarMix",
    "LidarRangeFilter",
    "LoadCameras",
    "LoadCanBus",
    "LoadLidarSweeps",
    "LoadPointLabels",
    "MultiViewGridMask",
    "MultiViewPhotometricDistortion",
    "MultiViewResizeCropFlipRotate",
    "PackSensorInputs",
    "RayHoldout",
    "SampleCameraRays",
    "SampleLidarRays",
    "SharedSwitch",
    "SwitchableTransform",
    "UnifiedRotScaleTransFlip",
]
