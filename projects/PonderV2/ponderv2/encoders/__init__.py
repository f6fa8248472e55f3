"""Encoders: they turn sensors into one feature volume. A fine-tuned model keeps an encoder key by key."""

from .camera_encoder import CameraEncoder
from .fusion_encoder import FusionEncoder
from .image import DepthNet, DepthSupervision, PonderConvNeXt, PonderResNet, SimpleDepth
from .lidar_encoder import LidarEncoder
from .second3d import SECOND3D, SECOND3DFPN
from .sparse import HeightKeepingSparseEncoder, Voxels, VoxelUNet, voxelize

__all__ = [
    "SECOND3D",
    "SECOND3DFPN",
    "CameraEncoder",
    "DepthNet",
    "DepthSupervision",
    "FusionEncoder",
    "HeightKeepingSparseEncoder",
    "LidarEncoder",
    "PonderConvNeXt",
    "PonderResNet",
    "SimpleDepth",
    "VoxelUNet",
    "Voxels",
    "voxelize",
]
