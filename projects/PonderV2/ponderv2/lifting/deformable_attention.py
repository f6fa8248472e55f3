"""Deformable attention from points of a volume's cells to the images that see them (BEVFormer §3.3)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmcv.ops import get_compiling_cuda_version
from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction, multi_scale_deformable_attn_pytorch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ponderv2.shapes import Bool, Float, Int
from ponderv2.structures import constant


@dataclass(frozen=True)
class Hits:
    """The cells that each view sees, side by side; views with fewer are filled up with entries that see nothing.

    A view is a camera of a sample, B · N of them. A cell has P reference points; a view sees the cell when it sees one
    of them.

    Attributes:
        rows: cell of each entry, counted through the samples of the batch.
        locations: place of each reference point in the map of each level, as fractions (x, y) of its size.
        seen: which reference points the view sees; none of an entry that fills up.
    """

    rows: Int[Tensor, "bn q"]
    locations: Float[Tensor, "bn q l p 2"]
    seen: Bool[Tensor, "bn q p"]


@dataclass(frozen=True)
class ImageTokens:
    """The cells of the feature maps of all levels, one after another.

    Attributes:
        data: features.
        padding: cells that are centered in the padding of their image.
        sizes: (height, width) of the map of each level.
    """

    data: Float[Tensor, "bn s c"]
    padding: Bool[Tensor, "bn s"]
    sizes: Sequence[tuple[int, int]]


class ImageCrossAttention(BaseModule):
    """Lets the query of a cell read the images around its reference points (BEVFormer eq. 3, spatial cross-attention).

    For each view that sees the cell, and each head, the query chooses offsets from the reference points and weights for
    what is sampled there; the weights of a view sum to 1. The mean over these views goes through a linear layer.
    Weights of reference points that the view does not see, behind the camera or in the padding, are set to zero after
    the softmax: as published, where points outside an image read zeros. The published code reads what it finds in the
    padding, and takes the cells that a view sees from the first sample of the batch.

    Args:
        channels: channels of queries and features.
        num_heads: number of heads; published 8.
        num_levels: number of feature maps; published 4, of BEVFormer-tiny and -small 1.
        num_points: number of sampling points of a head in each map, all reference points together; published 8.
        num_references: number of reference points of a cell; published 4.
        dropout: probability of the dropout of the output; published 0.1.

    Raises:
        ValueError: when heads do not divide channels, or reference points the sampling points.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int = 8,
        num_levels: int = 4,
        num_points: int = 8,
        num_references: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if channels % num_heads:
            raise ValueError(f"channels: expected a multiple of num_heads = {num_heads}, got {channels}")
        if num_points % num_references:
            raise ValueError(f"num_points: expected a multiple of {num_references} reference points, got {num_points}")
        self.num_heads, self.num_levels = num_heads, num_levels
        self.num_points, self.num_references = num_points, num_references
        self.sampling_offsets = nn.Linear(channels, num_heads * num_levels * num_points * 2)
        self.attention_weights = nn.Linear(channels, num_heads * num_levels * num_points)
        self.value_proj = nn.Linear(channels, channels)
        self.output_proj = nn.Linear(channels, channels)
        self.dropout = nn.Dropout(dropout)
        self.init_weights()

    def init_weights(self) -> None:
        """Start with equal weights, and points that go out from the references, a direction for each head."""
        # On the module's own device: one without memory builds large models in tests.
        nn.init.zeros_(self.sampling_offsets.weight)
        angle = torch.arange(self.num_heads, device="cpu") * (math.tau / self.num_heads)
        direction = torch.stack([angle.cos(), angle.sin()], dim=-1)
        direction = direction / direction.abs().amax(dim=-1, keepdim=True)
        reach = torch.arange(1, self.num_points + 1, device="cpu")
        start = (direction[:, None, None] * reach[:, None]).expand(-1, self.num_levels, -1, -1)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(start.reshape(-1))
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        for layer in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, queries: Float[Tensor, "b v c"], tokens: ImageTokens, hits: Hits) -> Float[Tensor, "b v c"]:
        """Return what each query reads; of a cell that no view sees it is the bias of the last layer.

        Args:
            queries: queries of the cells.
            tokens: features of all views.
            hits: the cells that each view sees.
        """
        views, entries = hits.rows.shape
        count = queries.shape[0] * queries.shape[1]
        value = self.value_proj(tokens.data).masked_fill(tokens.padding[..., None], 0.0)
        asking = queries.flatten(0, 1).index_select(0, hits.rows.flatten()).unflatten(0, (views, entries))
        shape = (views, entries, self.num_heads, self.num_levels, -1, self.num_references)
        weights = self.attention_weights(asking).view(views, entries, self.num_heads, -1).softmax(dim=-1).view(shape)
        weights = weights * hits.seen[:, :, None, None, None]
        # Offsets are in cells of the maps.
        widths = constant([float(n) for height, width in tokens.sizes for n in (width, height)], value.device)
        offsets = self.sampling_offsets(asking).view(*shape, 2) / widths.to(value).view(-1, 1, 1, 2)
        locations = hits.locations.to(value)[:, :, None, :, None] + offsets
        read = deformable_attention(
            value.unflatten(2, (self.num_heads, -1)), tokens.sizes, locations.flatten(4, 5), weights.flatten(4, 5)
        )
        # Entries that fill up have read zeros, and are added to no matter which cell.
        rows = hits.rows.flatten()
        total = read.new_zeros(count, read.shape[-1]).index_add(0, rows, read.flatten(0, 1))
        number = read.new_zeros(count).index_add(0, rows, hits.seen.any(dim=-1).flatten().to(read))
        mean = total / number.clamp(min=1)[:, None]
        return self.dropout(self.output_proj(mean.view_as(queries)))


def deformable_attention(
    value: Float[Tensor, "n s h c"],
    sizes: Sequence[tuple[int, int]],
    locations: Float[Tensor, "n q h l k 2"],
    weights: Float[Tensor, "n q h l k"],
) -> Float[Tensor, "n q hc"]:
    """Sample feature maps bilinearly and add the samples up with their weights, head by head.

    It is mmcv's operator where mmcv was built for the GPU, and its sampling by torch elsewhere, view by view, so that
    the samples of all views never exist at once without their sums. Outside the maps there are zeros.

    Args:
        value: features of the cells of all levels, by head.
        sizes: (height, width) of the map of each level.
        locations: places as fractions (x, y) of the sizes.
        weights: weights of the samples.
    """
    if value.is_cuda and get_compiling_cuda_version() != "not available":
        flat = [number for size in sizes for number in size]
        starts = [sum(height * width for height, width in sizes[:level]) for level in range(len(sizes))]
        return MultiScaleDeformableAttnFunction.apply(
            value.contiguous(),
            constant(flat, value.device, torch.long).view(-1, 2),
            constant(starts, value.device, torch.long),
            locations.contiguous(),
            weights.contiguous(),
            len(value),
        )
    parts = zip(value.split(1), locations.split(1), weights.split(1), strict=True)
    return torch.cat([multi_scale_deformable_attn_pytorch(v, sizes, place, weight) for v, place, weight in parts])
