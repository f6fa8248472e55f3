"""The layers of the sparse encoders: convolution blocks on spconv tensors."""

import spconv.pytorch as spconv
import torch
from spconv.pytorch import SparseConvTensor
from torch import Tensor, nn
from torch.nn import functional as F

from ponderv2.structures import Voxels

from .row_norms import row_norm


class _PlainLoading(nn.Module):
    """Loads weights as they were saved.

    mmdet3d turns every weight around that comes without spconv's version number beside it, taking it for one of
    spconv 1. A safetensors file has no such number, and neither has a state dict that was put together.
    """

    _load_from_state_dict = nn.Module._load_from_state_dict


class SubMConv3d(_PlainLoading, spconv.SubMConv3d):
    """spconv's submanifold convolution, which loads weights as they were saved."""


class SparseConv3d(_PlainLoading, spconv.SparseConv3d):
    """spconv's sparse convolution, which loads weights as they were saved."""


class SparseInverseConv3d(_PlainLoading, spconv.SparseInverseConv3d):
    """spconv's inverse convolution, which loads weights as they were saved."""


class SparseConvBlock(nn.Module):
    """Applies a sparse convolution without bias, a norm and a ReLU.

    Args:
        conv: one of spconv's layers.
        norm_cfg: norm of the rows, see `row_norm`.
    """

    def __init__(self, conv: nn.Module, norm_cfg: dict | None = None) -> None:
        super().__init__()
        self.conv = conv
        self.norm = row_norm(conv.out_channels, norm_cfg)

    def forward(self, x: SparseConvTensor) -> SparseConvTensor:
        """Compute the features of the cells that the convolution reaches."""
        x = self.conv(x)
        return x.replace_feature(F.relu(self.norm(x.features)))


class SparseResidualBlock(nn.Module):
    """Applies two submanifold convolutions; the input is added to their result, through a product if widths differ.

    Args:
        in_channels: channels of the input.
        channels: channels of the output.
        indice_key: name of the table of neighbours that all submanifold convolutions of this resolution share.
        norm_cfg: norm of the rows, see `row_norm`.
    """

    def __init__(self, in_channels: int, channels: int, indice_key: str, norm_cfg: dict | None = None) -> None:
        super().__init__()
        self.conv1 = submanifold(in_channels, channels, indice_key)
        self.norm1 = row_norm(channels, norm_cfg)
        self.conv2 = submanifold(channels, channels, indice_key)
        self.norm2 = row_norm(channels, norm_cfg)
        self.shortcut = nn.Identity()
        if in_channels != channels:
            # A sparse convolution with a kernel of one cell is a product of rows.
            self.shortcut = nn.Sequential(nn.Linear(in_channels, channels, bias=False), row_norm(channels, norm_cfg))

    def forward(self, x: SparseConvTensor) -> SparseConvTensor:
        """Compute new features of the same cells."""
        out = self.conv1(x)
        out = self.conv2(out.replace_feature(F.relu(self.norm1(out.features))))
        return out.replace_feature(F.relu(self.norm2(out.features) + self.shortcut(x.features)))


def submanifold(in_channels: int, channels: int, indice_key: str, kernel: int = 3) -> SubMConv3d:
    """Build a convolution that computes at the occupied cells alone."""
    return SubMConv3d(in_channels, channels, kernel, bias=False, indice_key=indice_key)


def downsample(
    in_channels: int,
    channels: int,
    indice_key: str,
    kernel: int = 3,
    padding: int | tuple[int, int, int] = 1,
    norm_cfg: dict | None = None,
) -> SparseConvBlock:
    """Build a block of stride 2; `padding` is in the order (z, y, x)."""
    conv = SparseConv3d(in_channels, channels, kernel, 2, padding, bias=False, indice_key=indice_key)
    return SparseConvBlock(conv, norm_cfg)


def upsample(
    in_channels: int, channels: int, indice_key: str, kernel: int, norm_cfg: dict | None = None
) -> SparseConvBlock:
    """Build the way back of the `downsample` block with that key, to exactly the cells from which it started."""
    conv = SparseInverseConv3d(in_channels, channels, kernel, indice_key=indice_key, bias=False)
    return SparseConvBlock(conv, norm_cfg)


def to_sparse(voxels: Voxels, shape: tuple[int, int, int]) -> SparseConvTensor:
    """Convert voxels to spconv's tensor, in single precision or wider; `shape` is (z, y, x), at least their grid's."""
    features = voxels.features
    # spconv's kernels know no bfloat16, and half precision is not enough for raw coordinates.
    if features.dtype in (torch.float16, torch.bfloat16):
        features = features.float()
    return SparseConvTensor(features, voxels.coordinates, list(shape), voxels.batch_size)


def without_autocast(features: Tensor) -> torch.autocast:
    """Make a context in which sparse convolutions keep the precision of their features."""
    return torch.autocast(device_type=features.device.type, enabled=False)


def to_dense(x: SparseConvTensor) -> Tensor:
    """Convert a sparse tensor to a volume `[B, C, Z, Y, X]`, zero where it has no row; C is last in memory."""
    volume = x.features.new_zeros(x.batch_size, *x.spatial_shape, x.features.shape[1])
    volume = volume.index_put(tuple(x.indices.long().unbind(dim=1)), x.features)
    return volume.permute(0, 4, 1, 2, 3)
