"""Data sets, their transforms and the ground-truth database; `prepare` makes info files and `verify` checks them.

Modules of this folder do not import `transforms`, which imports them; `prepare` and `verify` may import both.
"""

from .cbgs import PonderCBGSDataset
from .detection_dataset import PonderNuScenesDetDataset
from .frame_store import FramesByToken, FrameStore, build_frame_store, open_frame_store
from .gravity_boxes import gravity_boxes
from .gt_database import GroundTruthDatabase
from .info_file import how_to_make_infos, load_info_file
from .label_fractions import choose_fraction
from .lidarseg_classes import IGNORE_LABEL, LIDARSEG_CATEGORIES, LIDARSEG_CLASSES
from .lidarseg_dataset import PonderNuScenesSegDataset
from .nuscenes_constants import CAMERAS, DETECTION_CLASSES
from .nuscenes_dataset import PonderNuScenesDataset
from .pipeline_transforms import UsesFrames, transforms_of
from .transforms import (
    SAMPLE_GROUPS,
    DigestImages,
    GridSampling,
    GroundTruthSampling,
    LidarLaserMix,
    LidarPolarMix,
    LidarRangeFilter,
    LoadCameras,
    LoadCanBus,
    LoadLidarSweeps,
    LoadPointLabels,
    MultiViewGridMask,
    MultiViewPhotometricDistortion,
    MultiViewResizeCropFlipRotate,
    PackSensorInputs,
    RayHoldout,
    SampleCameraRays,
    SampleLidarRays,
    SharedSwitch,
    SwitchableTransform,
    UnifiedRotScaleTransFlip,
)

__all__ = [
    "CAMERAS",
    "DETECTION_CLASSES",
    "IGNORE_LABEL",
    "LIDARSEG_CATEGORIES",
    "LIDARSEG_CLASSES",
    "SAMPLE_GROUPS",
    "DigestImages",
    "FrameStore",
    "FramesByToken",
    "GridSampling",
    "GroundTruthDatabase",
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
    "PonderCBGSDataset",
    "PonderNuScenesDataset",
    "PonderNuScenesDetDataset",
    "PonderNuScenesSegDataset",
    "RayHoldout",
    "SampleCameraRays",
    "SampleLidarRays",
    "SharedSwitch",
    "SwitchableTransform",
    "UnifiedRotScaleTransFlip",
    "UsesFrames",
    "build_frame_store",
    "choose_fraction",
    "gravity_boxes",
    "how_to_make_infos",
    "load_info_file",
    "open_frame_store",
    "transforms_of",
]
