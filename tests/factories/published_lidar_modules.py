"""UVTR's and UniPAD's LiDAR modules in plain torch, dense, on weights by their published names.

What they compute is a fact about github.com/dvlab-research/UVTR (`sparse_encoder_hd.py`, `second_3d.py`,
`second3d_fpn.py`), with the settings of UniPAD's configs. Kernels are those of spconv 1, `[z, y, x, in, out]`.
"""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.factories.published_image_modules import Weights, batch_norm

EPS = 1e-3
"""Of all batch norms of the LiDAR modules."""


def voxel_means(
    points: Tensor, point_cloud_range: Sequence[float], voxel_size: Sequence[float], most: int = 10
) -> tuple[Tensor, Tensor]:
    """HardSimpleVFE on a grid: the mean of the first points of each voxel `[C, Z, Y, X]`, and where there is any."""
    low, high = (torch.tensor(part, dtype=torch.float64) for part in (point_cloud_range[:3], point_cloud_range[3:]))
    size = ((high - low) / torch.tensor(voxel_size, dtype=torch.float64)).round().long()
    cells = ((points[:, :3].double() - low) / (high - low) * size).floor().long()
    inside = ((cells >= 0) & (cells < size)).all(dim=1)
    found: dict[tuple[int, ...], list[Tensor]] = {}
    for cell, point in zip(cells[inside].tolist(), points[inside], strict=True):
        found.setdefault(tuple(cell), []).append(point)
    grid = points.new_zeros(points.shape[1], *size.flip(0).tolist())
    occupied = torch.zeros(size.flip(0).tolist(), dtype=torch.bool)
    for (x, y, z), inner in found.items():
        grid[:, z, y, x] = torch.stack(inner[:most]).mean(dim=0)
        occupied[z, y, x] = True
    return grid, occupied


def sparse_encoder(weights: Weights, voxels: Tensor, occupied: Tensor) -> Tensor:
    """(Mask)SparseEncoderHD on a batch of grids `[B, C, Z, Y, X]`; the grid is one cell higher than its voxels."""
    x, active = F.pad(voxels, (0, 0, 0, 0, 0, 1)), F.pad(occupied, (0, 0, 0, 0, 0, 1))[:, None].to(voxels.dtype)
    part = "pts_middle_encoder"
    x = _normed(weights, f"{part}.conv_input.1", _kernel(weights, f"{part}.conv_input.0", x, padding=1), active)
    for i in itertools.count(1):
        stage = f"{part}.encoder_layers.encoder_layer{i}"
        for block in (f"{stage}.0", f"{stage}.1"):
            y = _normed(weights, f"{block}.bn1", _kernel(weights, f"{block}.conv1", x, padding=1), active)
            y = batch_norm(weights, f"{block}.bn2", _kernel(weights, f"{block}.conv2", y, padding=1), EPS)
            x = F.relu(y + x) * active
        if f"{stage}.2.0.weight" not in weights:
            break
        last = f"{part}.encoder_layers.encoder_layer{i + 1}.2.0.weight" not in weights
        how = dict(stride=2, padding=(0, 1, 1) if last else 1)
        active = F.max_pool3d(active, 3, **how)
        x = _normed(weights, f"{stage}.2.1", _kernel(weights, f"{stage}.2.0", x, **how), active)
    return _normed(weights, f"{part}.conv_out.1", _kernel(weights, f"{part}.conv_out.0", x), active)


def second(weights: Weights, volume: Tensor) -> Tensor:
    """SECOND3D, SECOND3DFPN that adds, and the convolutions after it."""
    total = 0.0
    for b in range(3):
        x, stride = volume, 2**b
        for k in itertools.count():
            name = f"pts_backbone.blocks.{b}.{3 * k}"
            if f"{name}.weight" not in weights:
                break
            how = dict(stride=(1, 1, 1) if k else (1, stride, stride), padding=(0, 1, 1))
            x = F.conv3d(x, weights[f"{name}.weight"], **how)
            x = F.relu(batch_norm(weights, f"pts_backbone.blocks.{b}.{3 * k + 1}", x, EPS))
        kernel = weights[f"pts_neck.deblocks.{b}.0.weight"]
        x = F.conv3d(x, kernel) if stride == 1 else F.conv_transpose3d(x, kernel, stride=(1, stride, stride))
        total = total + F.relu(batch_norm(weights, f"pts_neck.deblocks.{b}.1", x, EPS))
    for k in itertools.count():
        name = f"pts_neck.extra_blocks.{3 * k}"
        if f"{name}.weight" not in weights:
            break
        total = F.conv3d(total, weights[f"{name}.weight"], padding=1)
        total = F.relu(batch_norm(weights, f"pts_neck.extra_blocks.{3 * k + 1}", total, EPS))
    return total


def _kernel(weights: Weights, name: str, x: Tensor, **how: int | tuple[int, ...]) -> Tensor:
    return F.conv3d(x, weights[f"{name}.weight"].permute(4, 3, 0, 1, 2), **how)


def _normed(weights: Weights, name: str, x: Tensor, active: Tensor) -> Tensor:
    return F.relu(batch_norm(weights, name, x, EPS)) * active
