"""Encoders: they turn sensors into one feature volume. A fine-tuned model keeps an encoder key by key."""

from typing import TYPE_CHECKING

from . import sparse
from .camera_encoder import CameraEncoder
from .fusion_encoder import FusionEncoder
from .image import DepthNet, DepthSupervision, PonderConvNeXt, PonderResNet, SimpleDepth
from .lidar_encoder import LidarEncoder
from .point_fusion_encoder import PointFusionEncoder
from .second3d import SECOND3D, SECOND3DFPN
from .sparse import Voxels, voxelize

if TYPE_CHECKING:
    from .sparse import HeightKeepingSparseEncoder, VoxelMinkUNet, VoxelUNet

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


def __getattr__(name: str) -> type:
    # Those that need spconv are imported when they are asked for.
    if name not in ("HeightKeepingSparseEncoder", "VoxelMinkUNet", "VoxelUNet"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(sparse, name)
