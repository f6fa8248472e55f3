"""Voxelization of sweeps, and the sparse convolutional encoders of voxels."""

from ponderv2.structures import Voxels

from .mink_unet import VoxelMinkUNet
from .sparse_encoder import HeightKeepingSparseEncoder
from .sparse_unet import VoxelUNet
from .voxelize import voxelize

__all__ = ["HeightKeepingSparseEncoder", "VoxelMinkUNet", "VoxelUNet", "Voxels", "voxelize"]
