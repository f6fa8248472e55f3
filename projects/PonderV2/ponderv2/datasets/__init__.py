"""From info files to packed samples: data sets, transforms, ground-truth database; `prepare` and `verify` info files."""

from .cbgs import PonderCBGSDataset
from .detection_dataset import DETECTION_CLASSES, PonderNuScenesDetDataset
from .gt_database import PasteDatabase
from .info_file import load_info_file
from .label_fractions import choose_fraction
from .nuscenes_dataset import PonderNuScenesDataset
from .transforms import (
    PASTE_GROUPS,
    LoadCameras,
    LoadLidarSweeps,
    MultiViewGridMask,
    MultiViewPhotometricDistortion,
    MultiViewResizeCropFlipRotate,
    PackSensorInputs,
    PasteObjects,
    SampleRays,
    SharedSwitch,
    SwitchableTransform,
    UnifiedRotScaleTransFlip,
)

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
