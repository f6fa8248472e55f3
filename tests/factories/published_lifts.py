"""The published lifts, stated anew in plain torch with loops over samples and cameras (UVTR; UniPAD)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def published_pull(
    features: list[Tensor],
    depths: list[Tensor],
    lidar2img: Tensor,
    padded_size: tuple[int, int],
    point_cloud_range: tuple[float, ...],
    size: tuple[int, int, int],
    depth_range: tuple[float, float],
) -> Tensor:
    """Pull as "Uni3DViewTrans" does: lower corners of cells, maps and bins spread over padded image and depth range.

    Args:
        features: maps `[B, N, C, H_l, W_l]`.
        depths: probabilities of the bins `[B, N, D, H_l, W_l]`.
        lidar2img: `[B, N, 4, 4]`.
        padded_size: (height, width) of the padded images.
        point_cloud_range: range of the volume.
        size: cells (nx, ny, nz).
        depth_range: depths of the first and the last bin.

    Returns:
        `[B, C, Z, Y, X]`.
    """
    lower, upper = torch.tensor(point_cloud_range[:3]), torch.tensor(point_cloud_range[3:])
    edge = (upper - lower) / torch.tensor(size)
    axes = [lower[a] + torch.arange(size[a]) * edge[a] for a in range(3)]
    corners = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 3)
    corners = torch.cat([corners, torch.ones(len(corners), 1)], dim=1)
    batch, cameras, channels = features[0].shape[:3]
    volume = torch.zeros(batch, channels, len(corners))
    for b in range(batch):
        for n in range(cameras):
            moved = corners @ lidar2img[b, n].T
            depth = moved[:, 2]
            pixels = moved[:, :2] / depth.clamp(min=1e-5)[:, None]
            unit = pixels / torch.tensor([padded_size[1], padded_size[0]]) * 2 - 1
            deep = (depth - depth_range[0]) / (depth_range[1] - depth_range[0]) * 2 - 1
            place = torch.cat([unit, deep[:, None]], dim=1)
            seen = (depth > 1e-5) & (place.abs() < 1).all(dim=1)
            for feature, probability in zip(features, depths, strict=True):
                uv, uvd = place[seen][None, :, None, :2], place[seen][None, :, None, None]
                value = F.grid_sample(feature[b, n][None], uv, align_corners=True)[0, :, :, 0]
                chance = F.grid_sample(probability[b, n][None, None], uvd, align_corners=True)[0, 0, :, 0, 0]
                volume[b][:, seen] += value * chance
    return volume.unflatten(2, size).permute(0, 1, 4, 3, 2)


def published_splat(
    features: Tensor,
    depths: Tensor,
    lidar2img: Tensor,
    stride: int,
    point_cloud_range: tuple[float, ...],
    size: tuple[int, int, int],
    depth_range: tuple[float, float],
) -> tuple[Tensor, Tensor]:
    """Splat one level as "Uni3DVoxelPoolDepth" does: points at corners of map cells and bins, indices cut off.

    Args:
        features: map `[B, N, C, H, W]`.
        depths: probabilities of the bins `[B, N, D, H, W]`.
        lidar2img: `[B, N, 4, 4]`.
        stride: width of a cell of the map, pixels.
        point_cloud_range: range of the volume.
        size: cells (nx, ny, nz).
        depth_range: depths at which the first bin begins and the last one ends.

    Returns:
        `[B, C, Z, Y, X]`, and the place of each point in cells, `[B, N, W, H, D, 3]`.
    """
    batch, _, channels, height, width = features.shape
    bins = depths.shape[2]
    low, high = depth_range
    lower, upper = torch.tensor(point_cloud_range[:3]), torch.tensor(point_cloud_range[3:])
    edge = (upper - lower) / torch.tensor(size)
    axes = (
        torch.arange(width) * 1.0 * stride,
        torch.arange(height) * 1.0 * stride,
        low + torch.arange(bins) * ((high - low) / bins),
    )
    u, v, d = torch.meshgrid(*axes, indexing="ij")
    frustum = torch.stack([u * d, v * d, d, torch.ones_like(d)], dim=-1)
    places = torch.stack(
        [
            torch.stack([((frustum @ torch.inverse(matrix).T)[..., :3] - lower) / edge for matrix in sample])
            for sample in lidar2img
        ]
    )
    cells = places.int().long()
    volume = torch.zeros(batch, channels, *size)
    product = features.permute(0, 1, 4, 3, 2)[..., None, :] * depths.permute(0, 1, 4, 3, 2)[..., None]
    for b in range(batch):
        inside = ((cells[b] >= 0) & (cells[b] < torch.tensor(size))).all(dim=-1)
        x, y, z = cells[b][inside].unbind(dim=-1)
        volume[b].index_put_((torch.arange(channels)[:, None], x, y, z), product[b][inside].T, accumulate=True)
    return volume.permute(0, 1, 4, 3, 2), places
