"""The pull lift: each cell fetches the image features it projects to, weighted by how likely its depth is."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ponderv2.geometry import MIN_DEPTH, in_image, project
from ponderv2.shapes import Bool, Float, Int
from ponderv2.structures import CameraRig, VoxelGrid


class PullLift(nn.Module):
    """Pulls image features into cells, weighted by depth: UVTR's view transform (UniPAD "Uni3DViewTrans").

    The centre of every cell is projected into every camera. Where it lies inside the image (padding
    excluded) and inside the depth range, the bilinear feature of each level, times the probability that the
    level's depth head gives to the cell's depth, is added to the cell: a sum over cameras and levels.

    Only the (camera, cell) pairs that see each other are computed, about one in six, and levels are
    accumulated one by one, so no tensor of all cameras × levels × cells exists. Finding the pairs is the one
    host synchronisation of a batch.

    Args:
        depth_range: range of depths, metres, that the bins cover evenly; published (0, 64) with 64 bins.
        average_hits: True to divide by the number of cameras that see a cell. Published is a plain sum, so cells seen
            twice are twice as large.
    """

    def __init__(self, depth_range: tuple[float, float] = (0.0, 64.0), average_hits: bool = False) -> None:
        super().__init__()
        self.depth_range = tuple(depth_range)
        self.average_hits = average_hits

    def forward(
        self,
        features: list[Tensor],
        depths: list[Tensor],
        strides: tuple[int, ...],
        rig: CameraRig,
        grid: VoxelGrid,
    ) -> Float[Tensor, "b c z y x"]:
        """Lift the features of all cameras and levels.

        Args:
            features: feature maps `[B, N, C, H_l, W_l]`, one for each level.
            depths: probabilities of the depth bins `[B, N, D, H_l, W_l]`, one map for each level.
            strides: width of a cell of each level in pixels; cell k is centred on pixel `(k + 0.5) * stride - 0.5`.
            rig: cameras of the batch.
            grid: cells that are filled.
        """
        batch, cameras, channels = features[0].shape[:3]
        device = features[0].device
        # Coordinates in half precision are off by metres at 50 m: geometry stays in float32.
        with torch.autocast(device_type=device.type, enabled=False):
            centers = grid.centers(device).reshape(1, 1, -1, 3).expand(batch, cameras, -1, 3)
            pixels, depth = project(centers, rig.lidar2img.float())
            seen = self._visible(pixels, depth, rig)
            pairs = _pair_up(seen.flatten(0, 1), pixels.flatten(0, 1), depth.flatten(0, 1))

            pulled = pixels.new_zeros(batch * cameras, channels, pairs.cell.shape[1])
            for feature, probability, stride in zip(features, depths, strides, strict=True):
                pulled = pulled + self._pull_level(feature.flatten(0, 1), probability.flatten(0, 1), stride, pairs)
            pulled = pulled * pairs.valid[:, None]

            # Of the cameras of a sample: [B, C, N * P] onto [B, C, cells].
            pulled = pulled.unflatten(0, (batch, cameras)).transpose(1, 2).flatten(2)
            cell = pairs.cell.reshape(batch, 1, -1).expand(-1, channels, -1)
            volume = pulled.new_zeros(batch, channels, centers.shape[2]).scatter_add(2, cell, pulled)
            if self.average_hits:
                volume = volume / seen.sum(dim=1)[:, None].clamp(min=1)
        return volume.reshape(batch, channels, *grid.shape)

    def _visible(
        self, pixels: Float[Tensor, "b n v 2"], depth: Float[Tensor, "b n v"], rig: CameraRig
    ) -> Bool[Tensor, "b n v"]:
        low, high = self.depth_range
        return in_image(pixels, rig.image_size) & (depth > max(low, MIN_DEPTH)) & (depth < high)

    def _pull_level(
        self,
        feature: Float[Tensor, "bn c h w"],
        probability: Float[Tensor, "bn d h w"],
        stride: int,
        pairs: "_Pairs",
    ) -> Float[Tensor, "bn c p"]:
        height, width = feature.shape[-2:]
        # In units of half the map, whose size may be more than the image's by a part of a cell.
        extent = pairs.pixels.new_tensor([width * stride, height * stride])
        uv = 2 * (pairs.pixels + 0.5) / extent - 1
        low, high = self.depth_range
        uvd = torch.cat([uv, 2 * (pairs.depth[..., None] - low) / (high - low) - 1], dim=-1)
        options = {"align_corners": False, "padding_mode": "border"}
        pulled = F.grid_sample(feature.float(), uv[:, None], **options)[:, :, 0]
        chance = F.grid_sample(probability.float()[:, None], uvd[:, None, None], **options)[:, :, 0, 0]
        return pulled * chance


@dataclass(frozen=True)
class _Pairs:
    """The cells that each view sees, side by side; views with fewer are filled up with invalid entries."""

    cell: Int[Tensor, "bn p"]
    pixels: Float[Tensor, "bn p 2"]
    depth: Float[Tensor, "bn p"]
    valid: Bool[Tensor, "bn p"]


def _pair_up(seen: Bool[Tensor, "bn v"], pixels: Float[Tensor, "bn v 2"], depth: Float[Tensor, "bn v"]) -> _Pairs:
    view, cell = seen.nonzero(as_tuple=True)
    counts = seen.sum(dim=1)
    place = torch.arange(len(view), device=view.device) - (counts.cumsum(0) - counts)[view]
    # At least one entry, so that a sample no camera of which sees a cell is nothing special.
    size = (len(seen), max(int(counts.max()), 1))
    padded = cell.new_zeros(size)
    padded[view, place] = cell
    valid = torch.zeros(size, dtype=torch.bool, device=seen.device)
    valid[view, place] = True
    return _Pairs(padded, pixels.gather(1, padded[..., None].expand(-1, -1, 2)), depth.gather(1, padded), valid)
