"""The typed carriers that flow between data, encoder and head.

A `SensorBatch` (with a `CameraRig` and a `RayBatch`) goes into an encoder; its `EncoderOutput` holds a `FeatureVolume`
on a `VoxelGrid`, which a head reads.
"""

from .camera_rig import CameraRig
from .encoder_output import EncoderOutput
from .feature_volume import FeatureVolume
from .ray_batch import RayBatch
from .sensor_batch import SensorBatch
from .voxel_grid import PLACEMENTS, VoxelGrid

__all__ = ["PLACEMENTS", "CameraRig", "EncoderOutput", "FeatureVolume", "RayBatch", "SensorBatch", "VoxelGrid"]
