"""Transforms of a pipeline: loading, augmentation, ground-truth sampling, ray targets, packing."""

from .augment_2d import MultiViewPhotometricDistortion, MultiViewResizeCropFlipRotate
from .augment_3d import UnifiedRotScaleTransFlip
from .grid_mask import MultiViewGridMask
from .gt_sampling import PASTE_GROUPS, PasteObjects
from .loading import LoadCameras, LoadLidarSweeps
from .packing import PackSensorInputs
from .rays import SampleRays
from .switchable import SharedSwitch, SwitchableTransform

__all__ = [
    "PASTE_GROUPS",
    "LoadCameras",
    "LoadLidarSweeps",
    "MultiViewGridMask",
    "MultiViewPhotometricDistortion",
    "MultiViewResizeCropFlipRotate",
    "PackSensorInputs",
    "PasteObjects",
    "SampleRays",
    "SharedSwitch",
    "SwitchableTransform",
    "UnifiedRotScaleTransFlip",
]
