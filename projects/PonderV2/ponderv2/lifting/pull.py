"""The pull lift: each cell fetches the image features it projects to, weighted by how likely its depth is."""

import torch
from torch import Tensor, nn

from ponderv2.geometry import project
from ponderv2.shapes import Bool, Float
from ponderv2.structures import CameraRig, VoxelGrid

from .interpolation import bilinear_rows, depth_rows, gather_weighted


class PullLift(nn.Module):
    """Depth-weighted pull, UVTR's view transform (UniPAD "Uni3DViewTrans").

    The centre of every cell is projected into every camera. Where it lies inside the image (padding
    excluded) and inside the depth range, the bilinear feature of each level, times the probability that the
    level's depth head gives to the cell's depth, is added to the cell: a sum over cameras and levels.

    Only the (camera, cell) pairs that see each other are computed, about one in six, and levels are
    accumulated one by one, so no tensor of all cameras × levels × cells exists. Finding the pairs is the one
    host synchronisation of a batch.

    Args:
        depth_range: metres covered by the depth bins, published (0, 64) with 64 bins.
        average_hits: divide by the number of cameras that see a cell. Published: a plain sum, so cells seen
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
        """Lift.

        Args:
            features: a level each, `[B, N, C, H_l, W_l]`.
            depths: a level each, probabilities of the bins, `[B, N, D, H_l, W_l]`.
            strides: pixels a cell of each level; cell k of a level is centred on pixel `(k + 0.5) * stride - 0.5`.
            rig: batched cameras.
            grid: cells to fill.
        """
        batch, cameras, channels = features[0].shape[:3]
        device = features[0].device
        # Coordinates in half precision are off by metres at 50 m: geometry stays in float32.
        with torch.autocast(device_type=device.type, enabled=False):
            centers = grid.centers(device).reshape(1, 1, -1, 3).expand(batch, cameras, -1, 3)
            pixels, depth = project(centers, rig.lidar2img.float())
            seen = self._visible(pixels, depth, rig)
            view, cell = seen.flatten(0, 1).nonzero(as_tuple=True)
            uv, depth = pixels.flatten(0, 1)[view, cell], depth.flatten(0, 1)[view, cell]
            low, high = self.depth_range

            pulled = uv.new_zeros(len(view), channels)
            for feature, probability, stride in zip(features, depths, strides, strict=True):
                position = (uv + 0.5) / stride - 0.5
                bins, height, width = probability.shape[2:]
                bin_index = (depth - low) * (bins / (high - low)) - 0.5
                chance = gather_weighted(
                    probability.float().reshape(-1, 1), *depth_rows(view, position, bin_index, (bins, height, width))
                )
                table = feature.float().permute(0, 1, 3, 4, 2).reshape(-1, channels)
                pulled = pulled + chance * gather_weighted(table, *bilinear_rows(view, position, (height, width)))

            num_cells = centers.shape[2]
            target = view // cameras * num_cells + cell
            volume = pulled.new_zeros(batch * num_cells, channels).index_add(0, target, pulled)
            if self.average_hits:
                volume = volume / seen.sum(dim=1).reshape(-1, 1).clamp(min=1)
        return volume.reshape(batch, *grid.shape, channels).permute(0, 4, 1, 2, 3)

    def _visible(
        self, pixels: Float[Tensor, "b n v 2"], depth: Float[Tensor, "b n v"], rig: CameraRig
    ) -> Bool[Tensor, "b n v"]:
        height, width = rig.image_size[..., 0, None], rig.image_size[..., 1, None]
        u, v = pixels.unbind(dim=-1)
        inside = (u >= -0.5) & (u < width - 0.5) & (v >= -0.5) & (v < height - 0.5)
        low, high = self.depth_range
        return inside & (depth > max(low, 1e-5)) & (depth < high)
