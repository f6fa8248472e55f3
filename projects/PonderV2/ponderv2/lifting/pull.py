"""The pull lift: each cell fetches the image features it projects to, weighted by how likely its depth is."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ponderv2.geometry import MIN_DEPTH, add_to_rows, in_image, project
from ponderv2.shapes import Bool, Float, Int
from ponderv2.structures import CameraRig, MapCells, VoxelGrid, cells_of_levels, constant


class PullLift(nn.Module):
    """Pulls image features into cells, weighted by depth: UVTR's view transform (UniPAD "Uni3DViewTrans").

    The centre of every cell is projected into every camera. Where it lies inside the image (padding
    excluded) and inside the depth range, the bilinear feature of each level, times the probability that the
    level's depth head gives to the cell's depth, is added to the cell: a sum over cameras and levels. With the
    published placement of the grid it is the lower corner that is projected, anywhere in the padded image, and maps
    and depth bins are read with `align_corners=True` over the padded size and the depth range.

    Only the (camera, cell) pairs that see each other are computed, about one in six, so no tensor of all cameras ×
    levels × cells exists. Finding the pairs is the one host synchronisation of a batch. On a CPU the sum is a product
    of a sparse matrix and the table of all features, and no tensor of pairs × channels exists either.

    Args:
        depth_range: range of depths, metres, that the bins cover evenly; published (0, 64) with 64 bins.
        average_hits: True to divide by the number of cameras that see a cell. Published is a plain sum, so cells seen
            twice are twice as large.
    """

    reads_depths = True

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
        batch, cameras = features[0].shape[:2]
        device = features[0].device
        # Coordinates in half precision are off by metres at 50 m: geometry stays in float32.
        with torch.autocast(device_type=device.type, enabled=False):
            centers = grid.centers(device).reshape(1, 1, -1, 3).expand(batch, cameras, -1, 3)
            pixels, depth = project(centers, rig.lidar2img.float())
            seen = self._visible(pixels, depth, rig, grid.published)
            pairs = pair_up(seen.flatten(0, 1), pixels.flatten(0, 1), depth.flatten(0, 1))

            maps = [f.flatten(0, 1).float() for f in features]
            levels = cells_of_levels(strides, offsets, rig, grid)
            chances = [self._chance(d.flatten(0, 1).float(), c, pairs) for d, c in zip(depths, levels, strict=True)]
            pull = pull_by_grid_sample if device.type == "cuda" else pull_by_rows
            cells = pull(maps, chances, levels, pairs, batch, centers.shape[2])
            volume = cells.unflatten(2, grid.shape)
            if self.average_hits:
                volume = volume / seen.sum(dim=1)[:, None].clamp(min=1).unflatten(2, grid.shape)
        return volume

    def _visible(
        self, pixels: Float[Tensor, "b n v 2"], depth: Float[Tensor, "b n v"], rig: CameraRig, published: bool
    ) -> Bool[Tensor, "b n v"]:
        low, high = self.depth_range
        if published:
            (u, v), (height, width) = pixels.unbind(dim=-1), rig.padded_size
            on_image = (u > 0) & (u < width) & (v > 0) & (v < height)
        else:
            on_image = in_image(pixels, rig.image_size)
        return on_image & (depth > max(low, MIN_DEPTH)) & (depth < high)

    def _chance(self, probability: Float[Tensor, "bn d h w"], cells: MapCells, pairs: "Pairs") -> Float[Tensor, "bn p"]:
        """Interpolate the probability of each pair's depth."""
        low, high = self.depth_range
        uv = cells.normalized(pairs.pixels, tuple(probability.shape[-2:]))
        place = 2 * (pairs.depth[..., None] - low) / (high - low) - 1
        if cells.spread is not None:
            # The middles of the first and the last bin are at the ends of the range.
            bins = probability.shape[1]
            place = place * ((bins - 1) / bins)
        uvd = torch.cat([uv, place], dim=-1)
        return F.grid_sample(probability[:, None], uvd[:, None, None], **_BORDER)[:, 0, 0, 0] * pairs.valid


_BORDER = {"align_corners": False, "padding_mode": "border"}


@dataclass(frozen=True)
class Pairs:
    """The cells that each view sees, side by side; views with fewer are filled up with invalid entries."""

    cell: Int[Tensor, "bn p"]
    pixels: Float[Tensor, "bn p 2"]
    depth: Float[Tensor, "bn p"]
    valid: Bool[Tensor, "bn p"]


def pull_by_grid_sample(
    features: list[Tensor], chances: list[Tensor], levels: list[MapCells], pairs: Pairs, batch: int, count: int
) -> Float[Tensor, "b c v"]:
    """Pull the features of all pairs and add them up: a feature for each pair exists, level by level.

    Args:
        features: feature maps `[B * N, C, H_l, W_l]`, one for each level.
        chances: weight of each pair `[B * N, P]`, for each level; 0 for invalid ones.
        levels: places of the cells of each level.
        pairs: the cells that each view sees.
        batch: number B of samples.
        count: number V of cells of a sample.
    """
    pulled = 0.0
    for feature, chance, cells in zip(features, chances, levels, strict=True):
        uv = cells.normalized(pairs.pixels, tuple(feature.shape[-2:]))
        pulled = pulled + F.grid_sample(feature, uv[:, None], **_BORDER)[:, :, 0] * chance[:, None]
    # Of the cameras of a sample: [B, C, N * P] onto [B, C, cells].
    pulled = pulled.unflatten(0, (batch, -1)).transpose(1, 2).flatten(2)
    cell = pairs.cell.reshape(batch, 1, -1).expand_as(pulled)
    return pulled.new_zeros(batch, pulled.shape[1], count).scatter_add(2, cell, pulled)


def pull_by_rows(
    features: list[Tensor], chances: list[Tensor], levels: list[MapCells], pairs: Pairs, batch: int, count: int
) -> Float[Tensor, "b c v"]:
    """Do as `pull_by_grid_sample` with one sparse product; the result is laid out with the channels last."""
    views = len(pairs.cell)
    sample = torch.arange(batch, device=pairs.cell.device).repeat_interleave(views // batch)
    cells = (sample[:, None] * count + pairs.cell)[pairs.valid]
    # Pairs of a cell become neighbours: its sum is that of a run.
    cells, order = torch.sort(cells.int(), stable=True)
    starts = torch.searchsorted(cells, torch.arange(batch * count + 1, device=cells.device, dtype=cells.dtype))
    tables, corners, weights, first = [], [], [], 0
    for feature, chance, places in zip(features, chances, levels, strict=True):
        height, width = feature.shape[-2:]
        rows, bilinear = _corners(pairs, (height, width), places)
        corners.append(_Corners(rows[order], bilinear[order], (0, 1, width, width + 1), first, views * height * width))
        tables.append(feature.permute(0, 2, 3, 1).reshape(-1, feature.shape[1]))
        weights.append(chance[pairs.valid][order])
        first += len(tables[-1])
    rows = _PullRows.apply(torch.cat(tables), torch.stack(weights, dim=1), cells, starts, corners)
    return rows.unflatten(0, (batch, count)).transpose(1, 2)


@dataclass(frozen=True)
class _Corners:
    """The four map cells around the pixel of each pair, for one level.

    Attributes:
        rows: row of the upper left one in the map's own table.
        weights: bilinear weights.
        offsets: distances of the four rows from the first.
        first: row of the table of all levels at which the map's begins.
        length: number of rows of the map.
    """

    rows: Int[Tensor, "p"]
    weights: Float[Tensor, "p 4"]
    offsets: tuple[int, ...]
    first: int
    length: int

    def all_rows(self) -> Int[Tensor, "p 4"]:
        """Compute the rows in the table of all levels; beyond the last row, where weights are 0, it is the last."""
        offsets = constant(self.offsets, self.rows.device, self.rows.dtype)
        return (self.rows[:, None] + offsets).clamp(max=self.length - 1) + self.first


class _PullRows(torch.autograd.Function):
    """Sums, for each cell, chance × bilinear weight × row over its pairs, the levels and the four corners."""

    @staticmethod
    def forward(
        ctx, table: Tensor, chances: Tensor, cells: Tensor, starts: Tensor, corners: list[_Corners]
    ) -> Float[Tensor, "v c"]:
        ctx.save_for_backward(table, chances, cells)
        ctx.corners = corners
        return _sum_pairs(table, chances, starts, corners)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        table, chances, cells = ctx.saved_tensors
        # A backward pass may be inside autocast, which would multiply in half precision below.
        with torch.autocast(grad.device.type, enabled=False):
            return _PullRows._gradients(ctx, table, chances, cells, grad)

    @staticmethod
    def _gradients(
        ctx, table: Tensor, chances: Tensor, cells: Tensor, grad: Tensor
    ) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        # The slope of a volume may come transposed.
        grad = grad.contiguous()
        by_chance = by_table = None
        if ctx.needs_input_grad[0]:
            by_level = [
                add_to_rows(c.length, c.rows, c.offsets, c.weights * chance[:, None], grad, cells)
                for c, chance in zip(ctx.corners, chances.unbind(dim=1), strict=True)
            ]
            by_table = torch.cat(by_level)
        if ctx.needs_input_grad[1]:
            slopes = grad.index_select(0, cells)[:, :, None]
            by_level = [
                torch.bmm(
                    F.embedding_bag(c.all_rows(), table, per_sample_weights=c.weights, mode="sum")[:, None], slopes
                )
                for c in ctx.corners
            ]
            by_chance = torch.cat(by_level, dim=2)[:, 0]
        return by_table, by_chance, None, None, None


def _sum_pairs(table: Tensor, chances: Tensor, starts: Tensor, corners: list[_Corners]) -> Float[Tensor, "v c"]:
    rows = torch.stack([c.all_rows() for c in corners], dim=1)
    weights = torch.stack([c.weights for c in corners], dim=1) * chances[:, :, None]
    return F.embedding_bag(
        rows.flatten(),
        table,
        starts * rows[0].numel(),
        per_sample_weights=weights.flatten(),
        mode="sum",
        include_last_offset=True,
    )


def _corners(pairs: Pairs, size: tuple[int, int], places: MapCells) -> tuple[Int[Tensor, "k"], Float[Tensor, "k 4"]]:
    """Find the upper left map cell of each valid pair, and the bilinear weights of the four around it."""
    height, width = size
    view = torch.arange(len(pairs.cell), device=pairs.cell.device).repeat_interleave(pairs.valid.sum(dim=1))
    # The border is repeated: there the weight of what lies beyond it is 0.
    u, v = places.index(pairs.pixels[pairs.valid], size).unbind(dim=1)
    u, v = u.clamp(0, width - 1), v.clamp(0, height - 1)
    left, top = u.floor(), v.floor()
    u, v = u - left, v - top
    weights = torch.stack([(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v], dim=1)
    return ((view * height + top.long()) * width + left.long()).int(), weights


def pair_up(seen: Bool[Tensor, "bn v"], pixels: Float[Tensor, "bn v 2"], depth: Float[Tensor, "bn v"]) -> Pairs:
    """Put the cells that each view sees side by side."""
    cell, valid = seen_cells(seen)
    return Pairs(cell, pixels.gather(1, cell[..., None].expand(-1, -1, 2)), depth.gather(1, cell), valid)


def seen_cells(seen: Bool[Tensor, "bn v"]) -> tuple[Int[Tensor, "bn p"], Bool[Tensor, "bn p"]]:
    """Return the cells that each view sees, and which entries are valid: views with fewer are filled up with cell 0.

    The largest number of them is all that the host waits for.
    """
    views, cells = seen.shape
    counts = seen.sum(dim=1)
    # At least one entry, so that a sample no camera of which sees a cell is nothing special.
    most = max(int(counts.max()), 1)
    # Cells that are not seen go into one column more, which is cut off.
    place = (seen.cumsum(dim=1) - 1).where(seen, most)
    padded = place.new_zeros(views, most + 1)
    padded = padded.scatter_(1, place, torch.arange(cells, device=seen.device).expand(views, -1))[:, :most]
    return padded, torch.arange(most, device=seen.device) < counts[:, None]
