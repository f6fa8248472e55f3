"""Voxels of a sweep, and the sparse convolutional encoders that read them."""

from .sparse_encoder import HeightKeepingSparseEncoder
from .sparse_unet import VoxelUNet
from .voxelize import Voxels, voxelize

__all__ = ["HeightKeepingSparseEncoder", "VoxelUNet", "Voxels", "voxelize"]
