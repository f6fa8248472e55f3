"""The decoder of UVTR: queries talk to each other, read the volume where they point, and move there.

UVTR (NeurIPS 2022) §3.3 in the form of its code, which UniPAD kept: a query reads one point of the volume, its
reference, and not several with learned offsets.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from mmengine.model import bias_init_with_prob
from torch import Tensor, nn

from ponderv2.shapes import Bool, Float
from ponderv2.structures import FeatureVolume

from .box_code import CENTER, CODE_SIZE

# References are kept off the ends of the range, where the sigmoid has no slope: logits of 1e-5 and 1 - 1e-5.
REFERENCE_EPS = 1e-5
_LOGIT_LIMIT = 11.5129


@dataclass(frozen=True)
class QueryPredictions:
    """What the queries say after each layer.

    Attributes:
        logits: of the classes.
        codes: of the boxes, see `box_code`, centres in metres.
        ious: predicted 2·IoU − 1 of the boxes, not squashed; None without that branch.
    """

    logits: Float[Tensor, "l b q k"]
    codes: Float[Tensor, "l b q 10"]
    ious: Float[Tensor, "l b q"] | None

    def split(self, first: int) -> tuple["QueryPredictions", "QueryPredictions"]:
        """The first queries, and the others."""
        parts = [
            QueryPredictions(
                self.logits[:, :, part], self.codes[:, :, part], None if self.ious is None else self.ious[:, :, part]
            )
            for part in (slice(None, first), slice(first, None))
        ]
        return parts[0], parts[1]


class UVTRDecoder(nn.Module):
    """Layers of self-attention, one reading of the volume, and feed-forward, with a box refined after each.

    Args:
        in_channels: of the volume; may differ from `channels`.
        channels: of the queries.
        num_classes: outputs of the class branches.
        num_layers: published 6.
        num_heads: of the self-attention, published 8.
        ffn_channels: hidden ones of the feed-forward part, published 512.
        dropout: published 0.1.
        with_iou: a third branch, predicting how well the box fits.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        num_classes: int,
        num_layers: int = 6,
        num_heads: int = 8,
        ffn_channels: int = 512,
        dropout: float = 0.1,
        with_iou: bool = False,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            UVTRDecoderLayer(in_channels, channels, num_heads, ffn_channels, dropout) for _ in range(num_layers)
        )
        self.cls_branches = nn.ModuleList(_branch(channels, num_classes, nn.LayerNorm) for _ in range(num_layers))
        for branch in self.cls_branches:
            nn.init.constant_(branch[-1].bias, bias_init_with_prob(0.01))
        self.reg_branches = nn.ModuleList(_branch(channels, CODE_SIZE) for _ in range(num_layers))
        self.iou_branches = nn.ModuleList(_branch(channels, 1) for _ in range(num_layers if with_iou else 0))

    def forward(
        self,
        volume: FeatureVolume,
        content: Float[Tensor, "b q c"],
        position: Float[Tensor, "b q c"],
        references: Float[Tensor, "b q 3"],
        visible: Bool[Tensor, "b q q"] | None = None,
    ) -> QueryPredictions:
        """Decode.

        Args:
            volume: float32.
            content, position: features of the queries and of their places.
            references: where they start, logits of fractions of the grid's range (x, y, z).
            visible: which query (first axis) may look at which; None: all at all.
        """
        logits, codes, ious = [], [], []
        for i, layer in enumerate(self.layers):
            content = layer(content, position, references, volume, visible)
            logits.append(self.cls_branches[i](content))
            code = self.reg_branches[i](content)
            moved = references + code[..., CENTER]
            codes.append(_with_center(code, fractions_to_metres(moved.sigmoid(), volume)))
            if len(self.iou_branches):
                ious.append(self.iou_branches[i](content).squeeze(-1))
            # A layer learns its own step; the place it starts from is given (Deformable DETR §A.4).
            references = moved.detach().clamp(-_LOGIT_LIMIT, _LOGIT_LIMIT)
        return QueryPredictions(torch.stack(logits), torch.stack(codes), torch.stack(ious) if ious else None)


class UVTRDecoderLayer(nn.Module):
    """Self-attention, norm, reading of the volume, norm, feed-forward, norm."""

    def __init__(self, in_channels: int, channels: int, num_heads: int, ffn_channels: int, dropout: float) -> None:
        super().__init__()
        self.self_attention = QuerySelfAttention(channels, num_heads, dropout)
        self.cross_attention = VolumeCrossAttention(in_channels, channels, dropout)
        self.ffn = nn.Sequential(
            nn.Linear(channels, ffn_channels),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(ffn_channels, channels),
            nn.Dropout(dropout),
        )
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(3))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        # Every reading starts half open.
        nn.init.zeros_(self.cross_attention.gate.weight)

    def forward(
        self,
        content: Float[Tensor, "b q c"],
        position: Float[Tensor, "b q c"],
        references: Float[Tensor, "b q 3"],
        volume: FeatureVolume,
        visible: Bool[Tensor, "b q q"] | None = None,
    ) -> Float[Tensor, "b q c"]:
        """New content of the queries; `references` are logits."""
        content = self.norms[0](content + self.self_attention(content, position, visible))
        content = self.norms[1](content + self.cross_attention(content, position, references, volume))
        return self.norms[2](content + self.ffn(content))


class QuerySelfAttention(nn.Module):
    """Multi-head attention among queries; places take part in who looks at whom, not in what is said.

    torch's own module copies a mask that differs between samples for every head.
    """

    def __init__(self, channels: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        if channels % num_heads:
            raise ValueError(f"channels: expected a multiple of num_heads = {num_heads}, got {channels}")
        self.num_heads = num_heads
        self.dropout = dropout
        self.query_key = nn.Linear(channels, 2 * channels)
        self.value = nn.Linear(channels, channels)
        self.output_proj = nn.Linear(channels, channels)
        self.output_drop = nn.Dropout(dropout)

    def forward(
        self,
        content: Float[Tensor, "b q c"],
        position: Float[Tensor, "b q c"],
        visible: Bool[Tensor, "b q q"] | None = None,
    ) -> Float[Tensor, "b q c"]:
        """What each query hears."""
        query, key = self.query_key(content + position).chunk(2, dim=-1)
        heads = [t.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for t in (query, key, self.value(content))]
        heard = F.scaled_dot_product_attention(
            *heads,
            attn_mask=None if visible is None else visible[:, None],
            dropout_p=self.dropout if self.training else 0.0,
        )
        return self.output_drop(self.output_proj(heard.transpose(1, 2).flatten(2)))


class VolumeCrossAttention(nn.Module):
    """One trilinear reading at the reference, scaled by a learned gate, plus features of the place."""

    def __init__(self, in_channels: int, channels: int, dropout: float) -> None:
        super().__init__()
        self.gate = nn.Linear(channels, 1)
        # After the reading: it is linear, so a projection of the whole volume would give the same for more.
        self.output_proj = nn.Linear(in_channels, channels)
        self.output_drop = nn.Dropout(dropout)
        self.position_encoder = nn.Sequential(
            nn.Linear(3, channels),
            nn.LayerNorm(channels),
            nn.ReLU(inplace=True),
            nn.Linear(channels, channels),
            nn.LayerNorm(channels),
            nn.ReLU(inplace=True),
        )

    def forward(
        self,
        content: Float[Tensor, "b q c"],
        position: Float[Tensor, "b q c"],
        references: Float[Tensor, "b q 3"],
        volume: FeatureVolume,
    ) -> Float[Tensor, "b q c"]:
        """What each query reads; `references` are logits."""
        read = sample_volume(volume, fractions_to_metres(references.sigmoid(), volume))
        read = self.gate(content + position).sigmoid() * read
        return self.output_drop(self.output_proj(read)) + self.position_encoder(references)


def sample_volume(volume: FeatureVolume, points: Float[Tensor, "b q 3"]) -> Float[Tensor, "b q c"]:
    """Trilinear features at points (x, y, z) in metres, differentiable in both; zero outside the volume."""
    size = points.new_tensor(volume.grid.size)
    place = (2 * volume.grid.to_index(points) + 1) / size - 1
    return F.grid_sample(volume.data, place[:, None, None], align_corners=False)[:, :, 0, 0].transpose(1, 2)


def fractions_to_metres(fractions: Float[Tensor, "*n 3"], volume: FeatureVolume) -> Float[Tensor, "*n 3"]:
    """Fractions of the range of the volume's grid to metres."""
    lower, upper = fractions.new_tensor(volume.grid.lower), fractions.new_tensor(volume.grid.upper)
    return lower + fractions * (upper - lower)


def _with_center(code: Float[Tensor, "*n 10"], center: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 10"]:
    return torch.cat([center[..., :2], code[..., 2:4], center[..., 2:], code[..., 5:]], dim=-1)


def _branch(channels: int, outputs: int, norm: type[nn.Module] | None = None) -> nn.Sequential:
    """Two hidden layers, normed or not, and a linear one."""
    layers: list[nn.Module] = []
    for _ in range(2):
        layers.append(nn.Linear(channels, channels))
        if norm is not None:
            layers.append(norm(channels))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers, nn.Linear(channels, outputs))
