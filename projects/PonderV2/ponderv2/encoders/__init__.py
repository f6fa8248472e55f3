"""Sensors to one feature volume. A fine-tuned model keeps an encoder key by key."""

from .camera import CameraEncoder
from .depth import DepthNet, SimpleDepth
from .depth_supervision import DepthSupervision
from .fusion import FusionEncoder
from .image_backbones import PonderConvNeXt, PonderResNet
from .lidar import LidarEncoder
from .second3d import SECOND3D, SECOND3DFPN
from .sparse_encoder import HeightKeepingSparseEncoder
from .sparse_unet import VoxelUNet
from .voxelize import Voxels, voxelize

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
