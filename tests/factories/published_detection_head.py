"""UVTR's decoder and box decoding in plain torch, on weights by their published names.

What they compute is a fact about github.com/Nightmare-n/UniPAD (`uni3d_detr_v2.py`, `uvtr_dn_head.py`,
`nms_free_coder.py`) and github.com/dvlab-research/UVTR (`uni3d_detr.py`, `uvtr_head.py`). It is that of evaluation,
with boxes of mmdet3d before 1.0, and without suppression.
"""

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.factories.published_image_modules import Weights, layer_norm, linear

_HEAD = "pts_bbox_head"


def decoder(
    weights: Weights, volume: Tensor, point_cloud_range: Sequence[float], heads: int
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Logits of the classes, box codes with centers in metres, and overlaps of all layers, `[L, B, Q, ...]`."""
    content, position, references = (part.expand(len(volume), -1, -1) for part in queries(weights))
    low, high = (volume.new_tensor(part) for part in (point_cloud_range[:3], point_cloud_range[3:]))
    logits, codes, overlaps = [], [], []
    for i in itertools.count():
        name = f"{_HEAD}.transformer.decoder.layers.{i}"
        if f"{name}.norms.0.weight" not in weights:
            break
        content = content + self_attention(weights, f"{name}.attentions.0.attn", content, position, heads)
        content = layer_norm(weights, f"{name}.norms.0", content)
        content = content + volume_attention(weights, f"{name}.attentions.1", content, position, references, volume)
        content = layer_norm(weights, f"{name}.norms.1", content)
        inner = F.relu(linear(weights, f"{name}.ffns.0.layers.0.0", content))
        content = layer_norm(weights, f"{name}.norms.2", content + linear(weights, f"{name}.ffns.0.layers.1", inner))
        logits.append(branch(weights, f"{_HEAD}.cls_branches.{i}", content, normed=True))
        code = branch(weights, f"{_HEAD}.reg_branches.{i}", content)
        references = references + code[..., (0, 1, 4)]
        center = low + references.sigmoid() * (high - low)
        codes.append(torch.cat([center[..., :2], code[..., 2:4], center[..., 2:], code[..., 5:]], dim=-1))
        if f"{_HEAD}.iou_branches.{i}.0.weight" in weights:
            overlaps.append(branch(weights, f"{_HEAD}.iou_branches.{i}", content)[..., 0])
    return torch.stack(logits), torch.stack(codes), torch.stack(overlaps) if overlaps else None


def queries(weights: Weights) -> tuple[Tensor, Tensor, Tensor]:
    """Content, position and logits of the references of the learned queries."""
    fractions = weights.get(f"{_HEAD}.reference_points.weight")
    if fractions is None:
        position, content = weights[f"{_HEAD}.query_embedding.weight"].chunk(2, dim=1)
        return content, position, linear(weights, f"{_HEAD}.transformer.reference_points", position)
    fractions = fractions.clamp(0, 1)
    references = torch.log(fractions.clamp(min=1e-5) / (1 - fractions).clamp(min=1e-5))
    hidden = F.relu(linear(weights, f"{_HEAD}.query_embedding.0", references))
    position = linear(weights, f"{_HEAD}.query_embedding.2", hidden)
    return torch.zeros_like(position), position, references


def self_attention(weights: Weights, name: str, content: Tensor, position: Tensor, heads: int) -> Tensor:
    """torch's own multi-head attention, which the published code wraps."""
    place = (content + position).transpose(0, 1)
    attended, _ = F.multi_head_attention_forward(
        place,
        place,
        content.transpose(0, 1),
        content.shape[-1],
        heads,
        weights[f"{name}.in_proj_weight"],
        weights[f"{name}.in_proj_bias"],
        None,
        None,
        False,
        0.0,
        weights[f"{name}.out_proj.weight"],
        weights[f"{name}.out_proj.bias"],
        training=False,
    )
    return attended.transpose(0, 1)


def volume_attention(
    weights: Weights, name: str, content: Tensor, position: Tensor, references: Tensor, volume: Tensor
) -> Tensor:
    """One reading of the volume at the reference, gated, and an embedding of the reference."""
    gate = linear(weights, f"{name}.attention_weights", content + position).sigmoid()
    place = 2 * references.sigmoid() - 1
    read = F.grid_sample(volume, place[:, None, None], align_corners=False)[:, :, 0, 0].transpose(1, 2)
    embedded = references
    for k in (0, 3):
        embedded = linear(weights, f"{name}.position_encoder.{k}", embedded)
        embedded = F.relu(layer_norm(weights, f"{name}.position_encoder.{k + 1}", embedded))
    return linear(weights, f"{name}.output_proj", gate * read) + embedded


def branch(weights: Weights, name: str, x: Tensor, normed: bool = False) -> Tensor:
    step = 3 if normed else 2
    for k in range(2):
        x = linear(weights, f"{name}.{step * k}", x)
        x = F.relu(layer_norm(weights, f"{name}.{step * k + 1}", x) if normed else x)
    return linear(weights, f"{name}.{2 * step}", x)


def decode(
    logits: Tensor, codes: Tensor, overlaps: Tensor | None = None, most: int = 300
) -> tuple[Tensor, Tensor, Tensor]:
    """NMSFreeCoder, or NMSFreeIoUCoder with overlaps, of one sample: boxes, scores and labels, as published.

    A box is (x, y, z of its center, w, l, h, yaw, vx, vy), with a yaw of mmdet3d before 1.0, clockwise.
    """
    scores, index = logits.sigmoid().flatten().topk(min(most, logits.numel()))
    query, labels = index // logits.shape[1], index % logits.shape[1]
    if overlaps is not None:
        scores = scores.sqrt() * ((overlaps[query] + 1) / 2).clamp(0, 1).sqrt()
    x, y, log_w, log_l, z, log_h, sine, cosine, vx, vy = codes[query].unbind(dim=-1)
    boxes = [x, y, z, log_w.exp(), log_l.exp(), log_h.exp(), torch.atan2(sine, cosine), vx, vy]
    limit = boxes[0].new_tensor([61.2, 61.2, 10.0])
    boxes = torch.stack(boxes, dim=-1)
    kept = (boxes[:, :3].abs() <= limit).all(dim=1)
    return boxes[kept], scores[kept], labels[kept]


def corners(boxes: Tensor) -> Tensor:
    """The eight corners of boxes of mmdet3d before 1.0: the width lies along x, and the yaw turns clockwise."""
    unit = torch.tensor(list(itertools.product((-0.5, 0.5), repeat=3)), dtype=boxes.dtype)
    x, y, z = (unit[None] * boxes[:, None, 3:6]).unbind(dim=-1)
    cosine, sine = boxes[:, None, 6].cos(), boxes[:, None, 6].sin()
    turned = torch.stack([x * cosine + y * sine, y * cosine - x * sine, z], dim=-1)
    return turned + boxes[:, None, :3]


def modern(boxes: Tensor) -> Tensor:
    """Boxes of mmdet3d before 1.0 in the convention of 1.x: length before width, a yaw counter-clockwise from x."""
    x, y, z, w, l, h, yaw, vx, vy = boxes.unbind(dim=-1)  # noqa: E741
    return torch.stack([x, y, z, l, w, h, -yaw - math.pi / 2, vx, vy], dim=-1)
