"""The typed carriers that flow between data, encoder and head.

A `SensorBatch` (with a `CameraRig` and a `RayBatch`) goes into an encoder; its `EncoderOutput` holds a `FeatureVolume`
on a `VoxelGrid`, which a head reads, and `Voxels` where the encoder has features of them.
"""

from .camera_rig import CameraRig
from .constant_tensors import constant
from .encoder_output import EncoderOutput, ImageFeatures
from .feature_volume import FeatureVolume
from .frame_history import FrameQueue, PastBatch, PastFrame, PastVolume
from .keypoints import MATCH_RADIUS, Keypoints
from .map_cells import MapCells, cells_of_levels, lead_of
from .ray_batch import RayBatch
from .sensor_batch import SensorBatch
from .voxel_grid import PLACEMENTS, VoxelGrid
from .voxels import PointPlaces, Voxels, cell_keys, sample_numbers

__all__ = [
    "MATCH_RADIUS",
    "PLACEMENTS",
    "CameraRig",
    "EncoderOutput",
    "FeatureVolume",
    "FrameQueue",
    "ImageFeatures",
    "Keypoints",
    "MapCells",
    "PastBatch",
    "PastFrame",
    "PastVolume",
    "PointPlaces",
    "RayBatch",
    "SensorBatch",
    "VoxelGrid",
    "Voxels",
    "cell_keys",
    "cells_of_levels",
    "constant",
    "lead_of",
    "sample_numbers",
]
