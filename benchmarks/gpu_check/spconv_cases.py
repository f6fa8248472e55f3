"""What is compared where there is spconv: its layers with their default algorithm, and the sparse encoders.

On the CPU they run through this project's own sparse convolution (`ponderv2.compat.spconv_cpu`), on a GPU through
spconv's, so that each checks the other.
"""

from typing import Any

import spconv.pytorch as spconv
import torch
from torch import Tensor, nn

from ponderv2.encoders import HeightKeepingSparseEncoder, VoxelUNet, voxelize
from ponderv2.encoders.sparse.sparse_layers import SparseConv3d, SparseInverseConv3d, SubMConv3d, to_dense
from ponderv2.registry import MODELS
from ponderv2.structures import VoxelGrid

from .agreement import Case
from .mmcv_cases import small_cloud

RANGE = (-24.0, -24.0, -4.0, 24.0, 24.0, 4.0)
COARSE, FINE = VoxelGrid(RANGE, (24, 24, 4)), VoxelGrid(RANGE, (192, 192, 32))


def cases() -> list[Case]:
    """Return all cases of this level."""
    return [
        Case("submanifold convolution", lambda: _layers(SubMConv3d(8, 12, 3, bias=False)), _convolve),
        Case("strided convolution", lambda: _layers(SparseConv3d(8, 12, 3, 2, 1, bias=False)), _convolve),
        Case("strided and inverse convolution", lambda: _layers(*_down_and_up()), _convolve),
        Case("height-keeping sparse encoder", lambda: _voxels(_height_keeping()), _encode, 1e-3, 1e-2),
        Case("sparse U-Net", lambda: _voxels(_unet()), _encode, 1e-3, 1e-2),
    ]


def _down_and_up() -> tuple[nn.Module, nn.Module]:
    down = SparseConv3d(8, 12, 3, 2, 1, bias=False, indice_key="down")
    return down, SparseInverseConv3d(12, 8, 3, indice_key="down", bias=False)


def _layers(*layers: nn.Module) -> tuple[nn.Module, dict[str, Any]]:
    indices = torch.nonzero(torch.rand(2, 12, 16, 16) < 0.2).int().contiguous()
    return nn.Sequential(*layers), {"features": torch.randn(len(indices), 8, requires_grad=True), "indices": indices}


def _convolve(layers: nn.Sequential, given: dict[str, Any]) -> dict[str, Tensor]:
    x = spconv.SparseConvTensor(given["features"], given["indices"], [12, 16, 16], 2)
    for layer in layers:
        x = layer(x)
    # Rows of a strided convolution come in no particular order.
    return {"volume": to_dense(x)}


def _height_keeping() -> nn.Module:
    return MODELS.build(
        dict(type=HeightKeepingSparseEncoder, stage_channels=(8, 8, 16, 16), blocks=1, channels=16, in_channels=5)
    )


def _unet() -> nn.Module:
    small = dict(base_channels=8, channels=(8, 16, 16, 8), blocks=(1, 1, 1, 1))
    return MODELS.build(dict(type=VoxelUNet, in_channels=5, **small))


def _voxels(encoder: nn.Module) -> tuple[nn.Module, dict[str, Any]]:
    return encoder.train(), {"points": [small_cloud(), small_cloud(500)]}


def _encode(encoder: nn.Module, given: dict[str, Any]) -> dict[str, Tensor]:
    return {"volume": encoder(voxelize(given["points"], FINE), COARSE)}
