"""Encoders: they turn sensors into one feature volume. A fine-tuned model keeps an encoder key by key."""

from .camera_encoder import CameraEncoder
from .fusion_encoder import FusionEncoder
from .image import DepthNet, DepthSupervision, PonderConvNeXt, PonderResNet, SimpleDepth
from .lidar_encoder import LidarEncoder
from .point_fusion_encoder import PointFusionEncoder
from .second3d import SECOND3D, SECOND3DFPN
from .sparse import HeightKeepingSparseEncoder, VoxelMinkUNet, Voxels, VoxelUNet, voxelize

__all__ = [
    "SECOND3D",
    "SECOND3DFPN",
    "CameraEncoder",
    "DepthNet",
    "DepthSupervision",
    "FusionEncoder",
    "HeightKeepingSparseEncoder",
    "LidarEncoder",
    "PointFusionEncoder",
    "PonderConvNeXt",
    "PonderResNet",
    "SimpleDepth",
    "VoxelMinkUNet",
    "VoxelUNet",
    "Voxels",
    "voxelize",
]
