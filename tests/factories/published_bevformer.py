"""BEVFormer as published: names and shapes of its weights, and its lift and decoder in plain torch on them.

Both are facts about github.com/fundamentalvision/BEVFormer (`spatial_cross_attention.py`, `temporal_self_attention.py`,
`encoder.py`, `decoder.py`, `bevformer_head.py`, config `bevformer_tiny.py`). The lift is that of evaluation without a
frame before, whose features are then zeros and whose plane is not averaged with the current one; reference points
outside an image read zeros.
"""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.factories.published_detection_head import branch, queries, self_attention
from tests.factories.published_image_modules import Weights, layer_norm, linear
from tests.factories.published_layout import CLASSES, CODE, Shapes, batch_norm, layer
from tests.factories.published_layout import branch as branch_shapes
from tests.factories.published_layout import layer_norm as norm_shapes

_HEAD = "pts_bbox_head"
_TRANSFORMER = f"{_HEAD}.transformer"


def resnet(stem: int, depths: Sequence[int], channels: Sequence[int]) -> Shapes:
    """mmdet's ResNet of bottlenecks."""
    shapes = layer("img_backbone.conv1", stem, 3, 7, 7, bias=False) | batch_norm("img_backbone.bn1", stem)
    before = stem
    for i, (depth, width) in enumerate(zip(depths, channels, strict=True)):
        for j in range(depth):
            part, inner = f"img_backbone.layer{i + 1}.{j}", width // 4
            sizes = {1: (inner, before, 1, 1), 2: (inner, inner, 3, 3), 3: (width, inner, 1, 1)}
            for k, size in sizes.items():
                shapes |= layer(f"{part}.conv{k}", *size, bias=False) | batch_norm(f"{part}.bn{k}", size[0])
            if j == 0:
                shapes |= layer(f"{part}.downsample.0", width, before, 1, 1, bias=False)
                shapes |= batch_norm(f"{part}.downsample.1", width)
            before = width
    return shapes


def fpn(in_channels: Sequence[int], channels: int, extra: int = 0) -> Shapes:
    shapes: Shapes = {}
    for k, c in enumerate(in_channels):
        shapes |= layer(f"img_neck.lateral_convs.{k}.conv", channels, c, 1, 1)
    for k in range(len(in_channels) + extra):
        shapes |= layer(f"img_neck.fpn_convs.{k}.conv", channels, channels, 3, 3)
    return shapes


def _attention(name: str, channels: int, points: int, columns: int = 1) -> Shapes:
    shapes = layer(f"{name}.sampling_offsets", 2 * points, columns * channels)
    return shapes | layer(f"{name}.attention_weights", points, columns * channels)


def _feed_forward(name: str, channels: int, hidden: int) -> Shapes:
    shapes = layer(f"{name}.ffns.0.layers.0.0", hidden, channels) | layer(f"{name}.ffns.0.layers.1", channels, hidden)
    for k in range(3):
        shapes |= norm_shapes(f"{name}.norms.{k}", channels)
    return shapes


def transformer(
    channels: int, size: tuple[int, int], levels: int, layers: tuple[int, int], num_queries: int, hidden: int
) -> Shapes:
    """BEVFormerHead of `size` (ny, nx) cells with layers of encoder and decoder, eight heads and six cameras."""
    ny, nx = size
    shapes: Shapes = {
        f"{_HEAD}.code_weights": (CODE,),
        f"{_HEAD}.bev_embedding.weight": (ny * nx, channels),
        f"{_HEAD}.query_embedding.weight": (num_queries, 2 * channels),
        f"{_HEAD}.positional_encoding.row_embed.weight": (ny, channels // 2),
        f"{_HEAD}.positional_encoding.col_embed.weight": (nx, channels // 2),
        f"{_TRANSFORMER}.level_embeds": (levels, channels),
        f"{_TRANSFORMER}.cams_embeds": (6, channels),
    }
    shapes |= layer(f"{_TRANSFORMER}.reference_points", 3, channels)
    shapes |= layer(f"{_TRANSFORMER}.can_bus_mlp.0", channels // 2, 18)
    shapes |= layer(f"{_TRANSFORMER}.can_bus_mlp.2", channels, channels // 2)
    shapes |= norm_shapes(f"{_TRANSFORMER}.can_bus_mlp.norm", channels)
    for i in range(layers[0]):
        part = f"{_TRANSFORMER}.encoder.layers.{i}"
        # Eight heads, two planes, four points; columns for the earlier plane and for the query.
        shapes |= _attention(f"{part}.attentions.0", channels, 8 * 2 * 4, columns=2)
        shapes |= _attention(f"{part}.attentions.1.deformable_attention", channels, 8 * levels * 8)
        for place in ("0.value_proj", "0.output_proj", "1.deformable_attention.value_proj", "1.output_proj"):
            shapes |= layer(f"{part}.attentions.{place}", channels, channels)
        shapes |= _feed_forward(part, channels, hidden)
    for i in range(layers[1]):
        part = f"{_TRANSFORMER}.decoder.layers.{i}"
        attention = f"{part}.attentions.0.attn"
        shapes |= {
            f"{attention}.in_proj_weight": (3 * channels, channels),
            f"{attention}.in_proj_bias": (3 * channels,),
        }
        shapes |= layer(f"{attention}.out_proj", channels, channels)
        shapes |= _attention(f"{part}.attentions.1", channels, 8 * 4)
        for place in ("value_proj", "output_proj"):
            shapes |= layer(f"{part}.attentions.1.{place}", channels, channels)
        shapes |= _feed_forward(part, channels, hidden)
        shapes |= branch_shapes(f"{_HEAD}.cls_branches.{i}", channels, CLASSES, normed=True)
        shapes |= branch_shapes(f"{_HEAD}.reg_branches.{i}", channels, CODE)
    return shapes


def tiny() -> Shapes:
    """BEVFormer-tiny at its size."""
    backbone = resnet(64, (3, 4, 6, 3), (256, 512, 1024, 2048))
    return backbone | fpn((2048,), 256) | transformer(256, (50, 50), 1, (3, 6), 900, 512)


def base(deformable: bool = True) -> Shapes:
    """BEVFormer-base at its size, with or without the deformable convolutions of its last two stages."""
    backbone = resnet(64, (3, 4, 23, 3), (256, 512, 1024, 2048))
    blocks = [f"layer3.{k}" for k in range(23)] + [f"layer4.{k}" for k in range(3)]
    for block in blocks if deformable else ():
        width = 256 if block.startswith("layer3") else 512
        backbone |= layer(f"img_backbone.{block}.conv2.conv_offset", 27, width, 3, 3)
    return backbone | fpn((512, 1024, 2048), 256, extra=1) | transformer(256, (200, 200), 4, (6, 6), 900, 512)


def lift(
    weights: Weights,
    maps: Sequence[Tensor],
    lidar2img: Tensor,
    image_size: tuple[int, int],
    point_cloud_range: Sequence[float],
    size: tuple[int, int],
    can_bus: Tensor | None = None,
    past: Tensor | None = None,
) -> Tensor:
    """The features `[ny·nx, C]` of the cells of one frame, from maps `[N, C, h, w]` of its cameras.

    `can_bus`, the 18 signals of the car, may be left out (`use_can_bus` of the published code). `past` are the features
    of the cells in the frame before, in the current frame's place.
    """
    (ny, nx), (x0, y0, z0, x1, y1, z1) = size, point_cloud_range
    embedding = f"{_HEAD}.positional_encoding"
    column, row = weights[f"{embedding}.col_embed.weight"], weights[f"{embedding}.row_embed.weight"]
    position = torch.cat([column[None].expand(ny, -1, -1), row[:, None].expand(-1, nx, -1)], dim=-1).flatten(0, 1)
    tokens = [
        m
        + (weights[f"{_TRANSFORMER}.cams_embeds"] + weights[f"{_TRANSFORMER}.level_embeds"][k])[: len(m), :, None, None]
        for k, m in enumerate(maps)
    ]
    y, x = torch.meshgrid((torch.arange(ny) + 0.5) / ny, (torch.arange(nx) + 0.5) / nx, indexing="ij")
    z = torch.linspace(0.5, z1 - z0 - 0.5, 4) / (z1 - z0)
    plane = torch.stack([x, y], dim=-1).flatten(0, 1)
    x, y = (t[:, None].expand(-1, 4) for t in plane.unbind(dim=-1))
    points = torch.stack(
        [x * (x1 - x0) + x0, y * (y1 - y0) + y0, (z * (z1 - z0) + z0).expand_as(x), torch.ones_like(x)], dim=-1
    )
    seen = torch.einsum("nij,qdj->nqdi", lidar2img, points)
    depth = seen[..., 2]
    places = seen[..., :2] / depth.clamp(min=1e-5)[..., None] / torch.tensor(image_size[::-1])
    inside = (depth > 1e-5) & (places > 0).all(dim=-1) & (places < 1).all(dim=-1)
    query = weights[f"{_HEAD}.bev_embedding.weight"]
    if can_bus is not None:
        signals = can_bus
        for k in (0, 2):
            signals = F.relu(linear(weights, f"{_TRANSFORMER}.can_bus_mlp.{k}", signals))
        query = query + layer_norm(weights, f"{_TRANSFORMER}.can_bus_mlp.norm", signals)
    # All layers get the same two planes: the current one as it is before the first of them.
    first = query
    for i in itertools.count():
        name = f"{_TRANSFORMER}.encoder.layers.{i}"
        if f"{name}.norms.0.weight" not in weights:
            return query
        query = query + plane_attention(weights, f"{name}.attentions.0", query, position, plane, size, past, first)
        query = layer_norm(weights, f"{name}.norms.0", query)
        query = query + spatial_cross_attention(weights, f"{name}.attentions.1", query, tokens, places, inside)
        query = layer_norm(weights, f"{name}.norms.1", query)
        query = layer_norm(weights, f"{name}.norms.2", query + feed_forward(weights, name, query))
    raise AssertionError


def plane_attention(
    weights: Weights,
    name: str,
    query: Tensor,
    position: Tensor,
    plane: Tensor,
    size: tuple[int, int],
    past: Tensor | None,
    first: Tensor,
) -> Tensor:
    """TemporalSelfAttention: what the cells read in the current plane, or on average in the earlier one and in it."""
    both = torch.cat([torch.zeros_like(query) if past is None else past, query + position], dim=-1)
    offsets = linear(weights, f"{name}.sampling_offsets", both).view(len(query), 8, 2, 4, 2)
    factors = linear(weights, f"{name}.attention_weights", both).view(len(query), 8, 2, 4).softmax(dim=-1)
    queue = {1: query} if past is None else {0: past, 1: first}
    read = []
    for which, cells in queue.items():
        value = linear(weights, f"{name}.value_proj", cells).T.unflatten(1, size)
        places = plane[:, None, None] + offsets[:, :, which] / torch.tensor(size[::-1])
        read.append(sampled(value, places, factors[:, :, which]))
    return linear(weights, f"{name}.output_proj", sum(read) / len(read))


def spatial_cross_attention(
    weights: Weights, name: str, query: Tensor, tokens: Sequence[Tensor], places: Tensor, inside: Tensor
) -> Tensor:
    """SpatialCrossAttention: the mean over the cameras that see a cell."""
    part, levels = f"{name}.deformable_attention", len(tokens)
    offsets = linear(weights, f"{part}.sampling_offsets", query).view(-1, 8, levels, 2, 4, 2)
    factors = linear(weights, f"{part}.attention_weights", query).view(len(query), 8, -1).softmax(dim=-1)
    factors = factors.view(-1, 8, levels, 2, 4)
    total = torch.zeros_like(query)
    for camera, (place, seen) in enumerate(zip(places, inside, strict=True)):
        for level, token in enumerate(tokens):
            value = F.conv2d(
                token[camera], weights[f"{part}.value_proj.weight"][..., None, None], weights[f"{part}.value_proj.bias"]
            )
            size = torch.tensor(value.shape[:0:-1])
            where = place[:, None, None] + offsets[:, :, level] / size
            share = factors[:, :, level] * seen[:, None, None]
            total = total + sampled(value, where.flatten(2, 3), share.flatten(2))
    count = inside.any(dim=-1).sum(dim=0).clamp(min=1)
    return linear(weights, f"{name}.output_proj", total / count[:, None])


def feed_forward(weights: Weights, name: str, query: Tensor) -> Tensor:
    hidden = F.relu(linear(weights, f"{name}.ffns.0.layers.0.0", query))
    return linear(weights, f"{name}.ffns.0.layers.1", hidden)


def sampled(value: Tensor, places: Tensor, factors: Tensor) -> Tensor:
    """Samples of a map `[C, h, w]` at fractions `[q, heads, points, 2]`, added up with factors, head by head."""
    heads = value.unflatten(0, (8, -1))
    grid = (2 * places - 1).transpose(0, 1)
    read = F.grid_sample(heads, grid, align_corners=False)
    return (read * factors.transpose(0, 1)[:, None]).sum(dim=-1).flatten(0, 1).T


def decoder(
    weights: Weights, cells: Tensor, size: tuple[int, int], point_cloud_range: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Logits of the classes and box codes with centers in metres of all layers, of cells `[ny·nx, C]`."""
    content, position, references = queries(weights)
    low, high = (cells.new_tensor(part) for part in (point_cloud_range[:3], point_cloud_range[3:]))
    logits, codes = [], []
    for i in itertools.count():
        name = f"{_TRANSFORMER}.decoder.layers.{i}"
        if f"{name}.norms.0.weight" not in weights:
            break
        attended = self_attention(weights, f"{name}.attentions.0.attn", content[None], position[None], heads=8)[0]
        content = layer_norm(weights, f"{name}.norms.0", content + attended)
        asking, part = content + position, f"{name}.attentions.1"
        offsets = linear(weights, f"{part}.sampling_offsets", asking).view(-1, 8, 4, 2) / torch.tensor(size[::-1])
        factors = linear(weights, f"{part}.attention_weights", asking).view(-1, 8, 4).softmax(dim=-1)
        value = linear(weights, f"{part}.value_proj", cells).T.unflatten(1, size)
        read = sampled(value, references.sigmoid()[:, None, None, :2] + offsets, factors)
        content = layer_norm(weights, f"{name}.norms.1", content + linear(weights, f"{part}.output_proj", read))
        content = layer_norm(weights, f"{name}.norms.2", content + feed_forward(weights, name, content))
        logits.append(branch(weights, f"{_HEAD}.cls_branches.{i}", content, normed=True))
        code = branch(weights, f"{_HEAD}.reg_branches.{i}", content)
        references = references + code[:, (0, 1, 4)]
        center = low + references.sigmoid() * (high - low)
        codes.append(torch.cat([center[:, :2], code[:, 2:4], center[:, 2:], code[:, 5:]], dim=-1))
    return torch.stack(logits), torch.stack(codes)
