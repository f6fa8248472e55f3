"""From info files to packed samples: loading, augmentation, ray targets, packing."""

from .augment_2d import MultiViewPhotometricDistortion, MultiViewResizeCropFlipRotate
from .augment_3d import UnifiedRotScaleTransFlip
from .cbgs import PonderCBGSDataset
from .detection import DETECTION_CLASSES, PonderNuScenesDetDataset
from .fractions import choose_fraction
from .grid_mask import MultiViewGridMask
from .info_file import load_info_file
from .loading import LoadCameras, LoadLidarSweeps
from .nuscenes import PonderNuScenesDataset
from .packing import PackSensorInputs
from .paste import PASTE_GROUPS, PasteObjects
from .paste_database import PasteDatabase
from .rays import SampleRays
from .switch import SharedSwitch, SwitchableTransform

__all__ = [
    "DETECTION_CLASSES",
    "PASTE_GROUPS",
    "LoadCameras",
    "LoadLidarSweeps",
    "MultiViewGridMask",
    "MultiViewPhotometricDistortion",
    "MultiViewResizeCropFlipRotate",
    "PackSensorInputs",
    "PasteDatabase",
    "PasteObjects",
    "PonderCBGSDataset",
    "PonderNuScenesDataset",
    "PonderNuScenesDetDataset",
    "SampleRays",
    "SharedSwitch",
    "SwitchableTransform",
    "UnifiedRotScaleTransFlip",
    "choose_fraction",
    "load_info_file",
]
