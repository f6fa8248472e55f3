"""The decoder of UVTR: queries attend to each other, read the volume at their references, and move these.

UVTR (NeurIPS 2022) §3.3 in the form of its code, which UniPAD kept: a query reads the volume at one point, its
reference, instead of at several points with learned offsets.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from mmengine.model import bias_init_with_prob
from torch import Tensor, nn

from ponderv2.geometry import sample_volume
from ponderv2.shapes import Bool, Float
from ponderv2.structures import FeatureVolume

from .box_code import CENTER, CODE_SIZE
from .deformable_layer import DeformableDecoderLayer

# References are kept off the ends of the range, where the sigmoid has no slope: logits of 1e-5 and 1 - 1e-5.
REFERENCE_EPS = 1e-5
_LOGIT_LIMIT = 11.5129


@dataclass(frozen=True)
class QueryPredictions:
    """Predictions of all queries after each decoder layer.

    Attributes:
        logits: logits of the classes.
        codes: codes of the boxes, see `box_code`, with centres in metres.
        ious: predictions of 2·IoU − 1 of the boxes, without an activation; None without overlap branches.
    """

    logits: Float[Tensor, "l b q k"]
    codes: Float[Tensor, "l b q 10"]
    ious: Float[Tensor, "l b q"] | None

    def split(self, first: int) -> tuple["QueryPredictions", "QueryPredictions"]:
        """Return the predictions of the first queries, and those of the others."""
        parts = [
            QueryPredictions(
                self.logits[:, :, part], self.codes[:, :, part], None if self.ious is None else self.ious[:, :, part]
            )
            for part in (slice(None, first), slice(first, None))
        ]
        return parts[0], parts[1]


class UVTRDecoder(nn.Module):
    """Layers of self-attention, cross-attention to the volume and a feed-forward net; each refines the boxes.

    Args:
        in_channels: channels of the volume, which may differ from `channels`.
        channels: channels of the queries.
        num_classes: number of classes.
        num_layers: number of layers; published 6.
        num_heads: heads of the self-attention; published 8.
        ffn_channels: hidden channels of the feed-forward nets; published 512.
        dropout: probability of dropout; published 0.1.
        with_iou: whether each layer has a third branch, which predicts the overlap of its box with the true one.
        cross_attention: "sample" reads the volume at one point, as UVTR does; "deformable" around it, in a volume of
            one cell in height, as BEVFormer does.

    Raises:
        ValueError: when `cross_attention` is neither, or the volume has other channels than deformable attention.
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
        cross_attention: str = "sample",
    ) -> None:
        super().__init__()
        kinds = {"sample": UVTRDecoderLayer, "deformable": DeformableDecoderLayer}
        if cross_attention not in kinds:
            raise ValueError(f"cross_attention: expected 'sample' or 'deformable', got {cross_attention!r}")
        layer = kinds[cross_attention]
        self.layers = nn.ModuleList(
            layer(in_channels, channels, num_heads, ffn_channels, dropout) for _ in range(num_layers)
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
        attn_mask: Bool[Tensor, "b q q"] | None = None,
    ) -> QueryPredictions:
        """Predict classes and boxes after each layer.

        Args:
            volume: the volume that is read, float32.
            content: content features of the queries.
            position: positional embeddings of the queries.
            references: references of the queries (x, y, z), as logits of fractions of the grid's range.
            attn_mask: mask of the self-attention: True lets the query of the first axis attend to the query of the
                second, False keeps it from doing so. None lets every query attend to all.
        """
        logits, codes, ious = [], [], []
        for i, layer in enumerate(self.layers):
            content = layer(content, position, references, volume, attn_mask)
            logits.append(self.cls_branches[i](content))
            code = self.reg_branches[i](content)
            moved = references + code[..., CENTER]
            codes.append(_with_center(code, volume.grid.from_fraction(moved.sigmoid())))
            if len(self.iou_branches):
                ious.append(self.iou_branches[i](content).squeeze(-1))
            # A layer learns its own step, not those of the layers before it (Deformable DETR §A.4).
            references = moved.detach().clamp(-_LOGIT_LIMIT, _LOGIT_LIMIT)
        return QueryPredictions(torch.stack(logits), torch.stack(codes), torch.stack(ious) if ious else None)


class UVTRDecoderLayer(nn.Module):
    """Self-attention, cross-attention to the volume and a feed-forward net, with a norm after each.

    Args:
        in_channels: channels of the volume.
        channels: channels of the queries.
        num_heads: heads of the self-attention.
        ffn_channels: hidden channels of the feed-forward net.
        dropout: probability of dropout.
    """

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
        # Every gate starts half open.
        nn.init.zeros_(self.cross_attention.gate.weight)

    def forward(
        self,
        content: Float[Tensor, "b q c"],
        position: Float[Tensor, "b q c"],
        references: Float[Tensor, "b q 3"],
        volume: FeatureVolume,
        attn_mask: Bool[Tensor, "b q q"] | None = None,
    ) -> Float[Tensor, "b q c"]:
        """Return the new content of the queries; arguments as in `UVTRDecoder.forward`."""
        content = self.norms[0](content + self.self_attention(content, position, attn_mask))
        content = self.norms[1](content + self.cross_attention(content, position, references, volume))
        return self.norms[2](content + self.ffn(content))


class QuerySelfAttention(nn.Module):
    """Multi-head self-attention of the queries; positional embeddings are added to queries and keys, not to values.

    `nn.MultiheadAttention` would copy a mask that differs between samples for every head.

    Args:
        channels: channels of the queries.
        num_heads: number of heads.
        dropout: probability of dropout, of attention weights and of the output.

    Raises:
        ValueError: when `channels` is no multiple of `num_heads`.
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
        attn_mask: Bool[Tensor, "b q q"] | None = None,
    ) -> Float[Tensor, "b q c"]:
        """Return what each query attends to.

        Args:
            content: content features of the queries.
            position: positional embeddings of the queries.
            attn_mask: True lets the query of the first axis attend to the query of the second, as in
                `F.scaled_dot_product_attention` and the other way round than in `nn.MultiheadAttention`.
        """
        query, key = self.query_key(content + position).chunk(2, dim=-1)
        heads = [t.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for t in (query, key, self.value(content))]
        attended = F.scaled_dot_product_attention(
            *heads,
            attn_mask=None if attn_mask is None else attn_mask[:, None],
            dropout_p=self.dropout if self.training else 0.0,
        )
        return self.output_drop(self.output_proj(attended.transpose(1, 2).flatten(2)))


class VolumeCrossAttention(nn.Module):
    """Reads the volume at the reference of each query, gated by the query, and adds an embedding of the reference.

    Args:
        in_channels: channels of the volume.
        channels: channels of the queries.
        dropout: probability of dropout of what was read.
    """

    def __init__(self, in_channels: int, channels: int, dropout: float) -> None:
        super().__init__()
        self.gate = nn.Linear(channels, 1)
        # After the reading: that one is linear, so projecting the whole volume first would give the same for more.
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
        """Return what each query reads; `references` are logits of fractions of the range."""
        features = sample_volume(volume, volume.grid.from_fraction(references.sigmoid()))
        features = self.gate(content + position).sigmoid() * features
        return self.output_drop(self.output_proj(features)) + self.position_encoder(references)


def _with_center(code: Float[Tensor, "*n 10"], center: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 10"]:
    return torch.cat([center[..., :2], code[..., 2:4], center[..., 2:], code[..., 5:]], dim=-1)


def _branch(channels: int, outputs: int, norm: type[nn.Module] | None = None) -> nn.Sequential:
    """Build two hidden layers, each with a norm if one is given, and a linear output."""
    layers: list[nn.Module] = []
    for _ in range(2):
        layers.append(nn.Linear(channels, channels))
        if norm is not None:
            layers.append(norm(channels))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers, nn.Linear(channels, outputs))
