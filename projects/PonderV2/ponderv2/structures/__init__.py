"""Typed carriers: what flows between data, encoder, volume and head.

sensors (`SensorBatch` with a `CameraRig` and `RayBatch`) → encoder → `FeatureVolume` on a `VoxelGrid` → head.
"""

from .camera_rig import CameraRig
from .ray_batch import RayBatch
from .sensor_batch import SensorBatch
from .feature_volume import FeatureVolume
from .voxel_grid import VoxelGrid

__all__ = ["CameraRig", "FeatureVolume", "RayBatch", "SensorBatch", "VoxelGrid"]
