"""Voxelization of sweeps, and the sparse convolutional encoders of voxels."""

from .sparse_encoder import HeightKeepingSparseEncoder
from .sparse_unet import VoxelUNet
from .voxelize import Voxels, voxelize

__all__ = ["HeightKeepingSparseEncoder", "VoxelUNet", "Voxels", "voxelize"]
