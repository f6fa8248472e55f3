"""From info files to packed samples: loading, augmentation, ray targets, packing."""

from .augment_2d import MultiViewPhotometricDistortion, MultiViewResizeCropFlipRotate
from .augment_3d import UnifiedRotScaleTransFlip
from .detection import PonderNuScenesDetDataset
from .fractions import choose_fraction
from .info_file import load_info_file
from .loading import LoadCameras, LoadLidarSweeps
from .nuscenes import PonderNuScenesDataset
from .packing import PackSensorInputs
from .rays import SampleRays

__all__ = [
    "LoadCameras",
    "LoadLidarSweeps",
    "MultiViewPhotometricDistortion",
    "MultiViewResizeCropFlipRotate",
    "PackSensorInputs",
    "PonderNuScenesDataset",
    "PonderNuScenesDetDataset",
    "SampleRays",
    "UnifiedRotScaleTransFlip",
    "choose_fraction",
    "load_info_file",
]
