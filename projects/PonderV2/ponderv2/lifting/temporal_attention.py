"""Temporal self-attention: cells attend to their plane, and to that of the frame before (BEVFormer §3.4)."""

from collections.abc import Iterator

import torch
from mmcv.ops import MultiScaleDeformableAttention
from torch import Tensor, nn

from ponderv2.shapes import Bool, Float
from ponderv2.structures import constant

from .deformable_attention import deformable_attention

NUM_POINTS = 4
"""Sampling points of a head in each plane; published."""

MISSING = ("left_out", "current")
"""The values of the setting `missing_history`."""


class TemporalSelfAttention(MultiScaleDeformableAttention):
    """Deformable attention to two planes, the current one and that of the frame before; what is read is averaged.

    Offsets and weights of the points in both planes come from the query and from what the earlier plane has at its
    place, as published. Without an earlier plane it is plain self-attention, bit by bit, with the parameters that have
    the names of mmcv's module; so a model without history is this one with fewer parameters. The published layers are
    columns of one matrix: of its columns the first half is for the earlier plane's feature, of its rows the first half
    of each head for points in the earlier plane.

    Args:
        channels: channels of the queries.
        num_heads: heads of the attention; published 8.
        dropout: probability of dropout of the output; published 0.1.
        missing: what stands for the earlier plane where there is none, at the start of a scene: "left_out", nothing is
            averaged; or "current", the current plane is read a second time, with the offsets and weights of the earlier
            one, which is published.

    Raises:
        ValueError: when `missing` is neither word.
    """

    def __init__(self, channels: int, num_heads: int = 8, dropout: float = 0.1, missing: str = "left_out") -> None:
        if missing not in MISSING:
            raise ValueError(f"missing_history: expected {' or '.join(map(repr, MISSING))}, got {missing!r}")
        super().__init__(channels, num_heads, num_levels=1, num_points=NUM_POINTS, dropout=dropout, batch_first=True)
        self.missing = missing
        points = num_heads * NUM_POINTS
        # How what was there changes the points in the current plane.
        self.offsets_from_history = nn.Linear(channels, points * 2, bias=False)
        self.weights_from_history = nn.Linear(channels, points, bias=False)
        # The points in the earlier plane, from what was there and from the query.
        self.history_offsets = nn.Linear(2 * channels, points * 2)
        self.history_weights = nn.Linear(2 * channels, points)
        for parameter in self._of_history():
            nn.init.zeros_(parameter)
        with torch.no_grad():
            self.history_offsets.bias.copy_(self.sampling_offsets.bias)

    def forward(
        self,
        planes: Float[Tensor, "b p c"],
        position: Float[Tensor, "1 p c"],
        size: tuple[int, int],
        past: Float[Tensor, "b p c"] | None = None,
        exists: Bool[Tensor, "b"] | None = None,
        first: Float[Tensor, "b p c"] | None = None,
    ) -> Float[Tensor, "b p c"]:
        """Return the planes with what they read added.

        Samples with an earlier plane read the current one as it was before the first layer, in every layer: published
        code hands both planes to all layers. (Those without read what the layer before has made, as it does.)

        Args:
            planes: queries of the cells of each plane, rows of x along y.
            position: positional embeddings, which offsets and weights see.
            size: (ny, nx).
            past: features that the cells had in the frame before, in the current frame's place; None where no sample
                has any.
            exists: which planes have an earlier one.
            first: the planes before the first layer; None in the first layer.
        """
        if past is None and self.missing == "left_out":
            read = attend_to_plane(self, planes, position, size)
            # With several processes, all of them wait for a gradient of every parameter.
            return read + 0.0 * sum(p.sum() for p in self._of_history()) if self.training else read
        values = planes if past is None or first is None else first.where(exists[:, None, None], planes)
        if self.missing == "current":
            past = planes if past is None else past.where(exists[:, None, None], planes)
            shares = None
        else:
            # Zeros add nothing to offsets and weights, as if there were no history.
            past = past.where(exists[:, None, None], 0.0)
            shares = exists.to(planes)[:, None, None]
        query = planes + position
        offsets = self.sampling_offsets(query) + self.offsets_from_history(past)
        weights = self.attention_weights(query) + self.weights_from_history(past)
        current = self._read(self.value_proj(values), size, offsets, weights)
        both = torch.cat([past, query], dim=-1)
        earlier = self._read(self.value_proj(past), size, self.history_offsets(both), self.history_weights(both))
        read = (current + earlier) / 2 if shares is None else (current + shares * earlier) / (1 + shares)
        return self.dropout(self.output_proj(read)) + planes

    def _of_history(self) -> Iterator[nn.Parameter]:
        """The parameters that plain self-attention does not have."""
        for layer in (self.offsets_from_history, self.weights_from_history, self.history_offsets, self.history_weights):
            yield from layer.parameters()

    def _read(self, value: Tensor, size: tuple[int, int], offsets: Tensor, weights: Tensor) -> Float[Tensor, "b p c"]:
        shape = (*value.shape[:2], self.num_heads, 1, NUM_POINTS)
        weights = weights.view(*shape[:3], -1).softmax(dim=-1).view(shape)
        # Offsets are in cells.
        steps = offsets.view(*shape, 2) / constant([float(n) for n in size[::-1]], value.device).to(value)
        locations = _places(size, value).view(1, -1, 1, 1, 1, 2) + steps
        return deformable_attention(value.unflatten(2, (self.num_heads, -1)), [size], locations, weights)


def attend_to_plane(
    attention: MultiScaleDeformableAttention,
    planes: Float[Tensor, "b p c"],
    position: Float[Tensor, "1 p c"],
    size: tuple[int, int],
) -> Float[Tensor, "b p c"]:
    """Run mmcv's deformable self-attention over planes of (ny, nx) cells; what is read is added to them."""
    return MultiScaleDeformableAttention.forward(
        attention,
        planes,
        query_pos=position,
        reference_points=_places(size, planes).view(1, -1, 1, 2).expand(len(planes), -1, -1, -1),
        spatial_shapes=constant(size, planes.device, torch.long)[None],
        level_start_index=constant((0,), planes.device, torch.long),
    )


def _places(size: tuple[int, int], like: Tensor) -> Float[Tensor, "p 2"]:
    """Return the centers (x, y) of the cells of a plane as fractions of its size."""
    y, x = ((torch.arange(n, device=like.device, dtype=like.dtype) + 0.5) / n for n in size)
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2)
