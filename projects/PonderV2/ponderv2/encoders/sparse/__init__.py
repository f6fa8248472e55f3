"""Voxelization of sweeps, and the sparse convolutional encoders of voxels, which are imported when they are asked for.

They need spconv; a machine without it does with all that has no sparse convolution.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ponderv2.structures import Voxels

from .voxelize import voxelize

if TYPE_CHECKING:
    from .mink_unet import VoxelMinkUNet
    from .sparse_encoder import HeightKeepingSparseEncoder
    from .sparse_unet import VoxelUNet

__all__ = ["HeightKeepingSparseEncoder", "VoxelMinkUNet", "VoxelUNet", "Voxels", "voxelize"]

_WITH_SPCONV = {
    "HeightKeepingSparseEncoder": ".sparse_encoder",
    "VoxelMinkUNet": ".mink_unet",
    "VoxelUNet": ".sparse_unet",
}


def __getattr__(name: str) -> type:
    if name not in _WITH_SPCONV:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WITH_SPCONV[name], __name__), name)
