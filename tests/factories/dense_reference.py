"""Sparse layers computed on dense volumes: slow, exact, and with the layers' own weights."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ponderv2.encoders.sparse.sparse_layers import (
    SparseConvBlock,
    SparseInverseConv3d,
    SparseResidualBlock,
    SubMConv3d,
)


@dataclass
class Dense:
    """A volume `[B, C, Z, Y, X]` that counts only where `active` `[B, Z, Y, X]`."""

    volume: Tensor
    active: Tensor

    @property
    def rows(self) -> Tensor:
        """The features of the active cells, in the order of sample, z, y, x."""
        return self.volume.permute(0, 2, 3, 4, 1)[self.active]

    def with_rows(self, rows: Tensor) -> "Dense":
        volume = rows.new_zeros(*self.active.shape, rows.shape[1]).masked_scatter(self.active[..., None], rows)
        return Dense(volume.permute(0, 4, 1, 2, 3), self.active)


def dense(features: Tensor, coordinates: Tensor, batch_size: int, shape: tuple[int, int, int]) -> Dense:
    """Put rows at (sample, z, y, x), in that order, into a dense volume."""
    active = torch.zeros(batch_size, *shape, dtype=torch.bool)
    active[tuple(coordinates.long().T)] = True
    return Dense(torch.empty(0), active).with_rows(features)


def block(layer: SparseConvBlock, x: Dense, onto: Tensor | None = None) -> Dense:
    """Apply a convolution block; `onto` are the cells to which an inverse convolution goes back."""
    y = convolve(layer.conv, x, onto)
    return y.with_rows(F.relu(layer.norm(y.rows)))


def residual(layer: SparseResidualBlock, x: Dense) -> Dense:
    y = convolve(layer.conv1, x)
    y = convolve(layer.conv2, y.with_rows(F.relu(layer.norm1(y.rows))))
    return y.with_rows(F.relu(layer.norm2(y.rows) + layer.shortcut(x.rows)))


def stage(layers: nn.Sequential, x: Dense) -> Dense:
    for layer in layers:
        x = residual(layer, x)
    return x


def convolve(conv: nn.Module, x: Dense, onto: Tensor | None = None) -> Dense:
    weight = conv.weight.permute(0, 4, 1, 2, 3)
    if isinstance(conv, SubMConv3d):
        volume = F.conv3d(x.volume, weight, padding=[k // 2 for k in conv.kernel_size])
        return Dense(volume * x.active[:, None], x.active)
    if isinstance(conv, SparseInverseConv3d):
        volume = F.conv_transpose3d(x.volume, conv.weight.permute(4, 0, 1, 2, 3), stride=2)
        return Dense(volume * onto[:, None], onto)
    how = dict(stride=conv.stride, padding=conv.padding)
    ones = torch.ones(1, 1, *conv.kernel_size, dtype=x.volume.dtype)
    reached = F.conv3d(x.active[:, None].to(x.volume.dtype), ones, **how)[:, 0] > 0.5
    return Dense(F.conv3d(x.volume, weight, **how) * reached[:, None], reached)
