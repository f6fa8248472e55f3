"""The splat lift: each image feature is spread along its ray, by depth probability, into the cells it passes."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ponderv2.shapes import Bool, Float, Int
from ponderv2.structures import CameraRig, VoxelGrid, constant, lead_of


class SplatLift(nn.Module):
    """Lifts and splats (LSS; BEVDet; BEVDepth): the view transform of UniPAD's final camera and fusion models.

    Every cell of a feature map stands for the pixel at its centre, every depth bin for the distance at its middle
    along the optical axis: together a frustum of points, 6 × 29 × 50 × 118 = 1,026,600 of them at the published
    size. A cell of the volume is the sum, over the points that lie in it, of feature × probability of the bin;
    over cameras and levels too. Points whose pixel is in the padding of the image, or that lie outside the grid,
    count nothing. With the published placement of the grid, points sit at the corners of map cells and bins, up to 16
    pixels off; those in the padding count, and those up to a cell below the range count in its first cells.

    The sum is a product of a sparse matrix, probabilities in a row a cell of the volume and a column a pixel, with
    the table of features. `F.embedding_bag` is that product, with exact gradients for both, so that features ×
    bins (1 GB) never exist. Counting the points inside the grid is the one host synchronisation of a level.

    Args:
        depth_range: range along the optical axis, metres, that the depth bins cover evenly; published (1, 60) with 118.
        average_hits: True to divide by the number of points in a cell. Published is a plain sum, so cells close to a
            camera are larger.

    Raises:
        ValueError: when the range is empty or starts behind the camera.
    """

    reads_depths = True

    def __init__(self, depth_range: tuple[float, float] = (1.0, 60.0), average_hits: bool = False) -> None:
        super().__init__()
        low, high = depth_range
        if not 0 <= low < high:
            raise ValueError(f"depth_range: expected 0 <= low < high in metres, got {tuple(depth_range)}")
        self.depth_range = (low, high)
        self.average_hits = average_hits

    def forward(
        self,
        features: list[Tensor],
        depths: list[Tensor],
        strides: tuple[int, ...],
        rig: CameraRig,
        grid: VoxelGrid,
        offsets: tuple[float, ...] | None = None,
    ) -> Float[Tensor, "b c z y x"]:
        """Lift the features of all cameras and levels.

        Args:
            features: feature maps `[B, N, C, H_l, W_l]`, one for each level.
            depths: probabilities of the depth bins `[B, N, D, H_l, W_l]`, one map for each level.
            strides: width of a cell of each level, pixels.
            rig: cameras of the batch.
            grid: cells that are filled.
            offsets: pixel on which the first cell of each level is centered; None for `(stride - 1) / 2`. The published
                placement does not ask for it.
        """
        batch, device = len(features[0]), features[0].device
        count = batch * grid.size[0] * grid.size[1] * grid.size[2]
        levels, starts = [], offsets or [None] * len(strides)
        # Half precision would lose most of a sum of hundreds of points.
        with torch.autocast(device_type=device.type, enabled=False):
            for feature, probability, stride, offset in zip(features, depths, strides, starts, strict=True):
                size, bins = tuple(feature.shape[-2:]), probability.shape[2]
                cells = frustum_cells(rig, grid, size, stride, self.depth_range, bins, offset)
                dtype = torch.promote_types(feature.dtype, torch.float32)
                level = splat(
                    feature.permute(0, 1, 3, 4, 2).flatten(0, 3).to(dtype),
                    probability.permute(0, 1, 3, 4, 2).flatten(0, 3).to(dtype),
                    cells.flatten(0, 3),
                    count,
                )
                levels.append(level)
            total = sum((rows for rows, _ in levels[1:]), start=levels[0][0])
            if self.average_hits:
                total = total / sum(hits for _, hits in levels).clamp(min=1)[:, None]
        return total.unflatten(0, (batch, *grid.shape)).permute(0, 4, 1, 2, 3)


@torch.no_grad()
def frustum_cells(
    rig: CameraRig,
    grid: VoxelGrid,
    size: tuple[int, int],
    stride: int,
    depth_range: tuple[float, float],
    bins: int,
    offset: float | None = None,
) -> Int[Tensor, "b n h w d"]:
    """Find the cell of the grid in which each point of the cameras' frustums lies.

    Args:
        rig: cameras of the batch. `img2lidar` leads to the augmented LiDAR frame, so no augmentation is left to undo.
        grid: cells of the volume.
        size: (height, width) of the feature map.
        stride: width of a cell of the feature map, pixels.
        depth_range: range along the optical axis, metres, that is cut into equal bins.
        bins: number of bins.
        offset: pixel on which the first cell of the map is centered; None for `(stride - 1) / 2`.

    Returns:
        `((b * Z + z) * Y + y) * X + x`, sample by sample through the batch, or -1 where the pixel is in the
        padding of its image or the point outside the grid; see `SplatLift` for the published placement.
    """
    to_lidar = rig.img2lidar.float()
    device = to_lidar.device
    low, high = depth_range
    if grid.published:
        v, u = (torch.arange(n, device=device, dtype=torch.float32) * stride for n in size)
        depth = low + torch.arange(bins, device=device) * ((high - low) / bins)
    else:
        v, u = ((torch.arange(n, device=device) + 0.5) * stride - 0.5 - lead_of(stride, offset) for n in size)
        depth = low + (torch.arange(bins, device=device) + 0.5) * ((high - low) / bins)
    uv1 = torch.stack([*torch.meshgrid(u, v, indexing="xy"), torch.ones(size, device=device)], dim=-1)
    # (u * d, v * d, d, 1) to the LiDAR frame is d times this, plus the camera's centre.
    direction = uv1.flatten(0, 1) @ to_lidar[..., :3, :3].transpose(-1, -2)
    points = direction[..., None, :] * depth[:, None] + rig.origins.float()[..., None, None, :]
    if grid.published:
        index, inside = _cut_off_cells(grid, points)
    else:
        index, inside = grid.cell_of(points)
        height, width = rig.image_size[..., None, None].unbind(dim=-3)
        on_image = (u < width - 0.5) & (v[:, None] < height - 0.5)
        inside &= on_image.flatten(2)[..., None]
    x, y, z = index.unbind(dim=-1)
    nx, ny, nz = grid.size
    sample = torch.arange(len(to_lidar), device=device).reshape(-1, 1, 1, 1)
    cell = ((sample * nz + z) * ny + y) * nx + x
    return cell.where(inside, -1).unflatten(2, size)


def _cut_off_cells(grid: VoxelGrid, points: Float[Tensor, "*p 3"]) -> tuple[Int[Tensor, "*p 3"], Bool[Tensor, "*p"]]:
    """Do as `VoxelGrid.cell_of`, but cut indices off, as published: the first cells begin a cell below the range."""
    lower, cell, size = (constant(v, points.device, points.dtype) for v in (grid.lower, grid.voxel_size, grid.size))
    index = ((points - lower) / cell).trunc()
    inside = ((index >= 0) & (index < size)).all(dim=-1)
    return index.where(inside[..., None], 0).long(), inside


def splat(
    features: Float[Tensor, "p c"], weights: Float[Tensor, "p d"], cells: Int[Tensor, "p d"], count: int
) -> tuple[Float[Tensor, "v c"], Int[Tensor, "v"]]:
    """Sum weight × feature over the entries of each cell.

    The result has exact gradients for features and weights; no tensor of entries × channels is made in either
    direction.

    Args:
        features: features of each pixel.
        weights: weights of the entries of each pixel, one for each depth bin.
        cells: cell of each entry, in [0, count); an entry with a negative cell is left out.
        count: number V of cells.

    Returns:
        The sum and the number of the entries of each cell.
    """
    entry = (cells.flatten() >= 0).nonzero()[:, 0]
    # A cell is then a run of entries; sums over runs need no atomics, so they are the same at every call.
    cell, order = torch.sort(cells.flatten()[entry], stable=True)
    entry = entry[order]
    starts = torch.searchsorted(cell, torch.arange(count + 1, device=cell.device))
    sums = F.embedding_bag(
        torch.div(entry, cells.shape[1], rounding_mode="floor"),
        features,
        starts,
        per_sample_weights=weights.flatten()[entry],
        mode="sum",
        include_last_offset=True,
    )
    if sums.requires_grad:
        # The slope of a volume comes transposed: both gradients would rearrange it, or read it with long strides.
        sums.register_hook(lambda slope: None if slope is None else slope.contiguous())
    return sums, starts.diff()
