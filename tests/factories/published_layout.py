"""State dicts as UniPAD and UVTR publish them: names and shapes of their modules on mmdet3d 0.17, with random values.

The names and shapes are facts about github.com/Nightmare-n/UniPAD (configs `unipad_abl`, `unipad_final`) and
github.com/dvlab-research/UVTR (`uvtr_l_v0075_h5.py`), at any size.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

Shapes = dict[str, tuple[int, ...]]

CLASSES = 10
CODE = 10


def layer(name: str, *weight: int, bias: bool = True) -> Shapes:
    """A convolution or linear layer; `weight` is the shape of its weight, output channels first."""
    return {f"{name}.weight": weight} | ({f"{name}.bias": weight[:1]} if bias else {})


def layer_norm(name: str, channels: int) -> Shapes:
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}


def batch_norm(name: str, channels: int) -> Shapes:
    running = {f"{name}.running_mean": (channels,), f"{name}.running_var": (channels,)}
    return layer_norm(name, channels) | running | {f"{name}.num_batches_tracked": ()}


def convnext(depths: Sequence[int], channels: Sequence[int], normed: Sequence[int]) -> Shapes:
    """MaskConvNeXt; `normed` are the stages whose maps are returned."""
    down = "img_backbone.downsample_layers"
    shapes = layer(f"{down}.0.0", channels[0], 3, 4, 4) | layer_norm(f"{down}.0.1", channels[0])
    for i, (depth, c) in enumerate(zip(depths, channels, strict=True)):
        if i:
            shapes |= layer_norm(f"{down}.{i}.0", channels[i - 1]) | layer(f"{down}.{i}.1", c, channels[i - 1], 2, 2)
        for j in range(depth):
            block = f"img_backbone.stages.{i}.{j}"
            shapes |= {f"{block}.gamma": (c,)}
            shapes |= layer(f"{block}.dwconv", c, 1, 7, 7) | layer_norm(f"{block}.norm", c)
            shapes |= layer(f"{block}.pwconv1", 4 * c, c) | layer(f"{block}.pwconv2", c, 4 * c)
        if i in normed:
            shapes |= layer_norm(f"img_backbone.norm{i}", c)
    return shapes


def neck(in_channels: Sequence[int], channels: int, extra: int = 0) -> Shapes:
    """FPN, or CustomFPN with a single level, and the projection after it."""
    shapes = layer("input_proj", channels, channels, 1, 1)
    for k, c in enumerate(in_channels):
        shapes |= layer(f"img_neck.lateral_convs.{k}.conv", channels, c, 1, 1)
    for k in range(len(in_channels) + extra):
        shapes |= layer(f"img_neck.fpn_convs.{k}.conv", channels, channels, 3, 3)
    return shapes


def simple_depth(channels: int, bins: int) -> Shapes:
    return layer("depth_net", bins, channels, 1, 1)


def complex_depth(channels: int, bins: int, pyramid: int) -> Shapes:
    """DepthNet of `ComplexDepth`, without deformable convolution."""
    shapes = layer("depth_net.reduce_conv.0", channels, channels, 3, 3)
    shapes |= batch_norm("depth_net.reduce_conv.1", channels)
    for block in range(3):
        for k in (1, 2):
            shapes |= layer(f"depth_net.depth_conv.{block}.conv{k}", channels, channels, 3, 3, bias=False)
            shapes |= batch_norm(f"depth_net.depth_conv.{block}.bn{k}", channels)
    part = "depth_net.depth_conv.3"
    for k in range(1, 5):
        size = 1 if k == 1 else 3
        shapes |= layer(f"{part}.aspp{k}.atrous_conv", pyramid, channels, size, size, bias=False)
        shapes |= batch_norm(f"{part}.aspp{k}.bn", pyramid)
    shapes |= layer(f"{part}.global_avg_pool.1", pyramid, channels, 1, 1, bias=False)
    shapes |= batch_norm(f"{part}.global_avg_pool.2", pyramid)
    shapes |= layer(f"{part}.conv1", channels, 5 * pyramid, 1, 1, bias=False) | batch_norm(f"{part}.bn1", channels)
    return shapes | layer("depth_net.depth_conv.4", bins, channels, 1, 1)


def biased_convs(name: str, channels: int) -> Shapes:
    """A 3×3×3 convolution with bias, and its batch norm: those after the lift and after the fusion."""
    return layer(f"{name}.0", channels, channels, 3, 3, 3) | batch_norm(f"{name}.1", channels)


def lift_convs(channels: int, count: int = 3) -> Shapes:
    shapes: Shapes = {}
    for k in range(count):
        shapes |= biased_convs(f"pts_bbox_head.view_trans.conv_layer.{k}", channels)
    return shapes


def sparse_encoder(in_channels: int, stages: Sequence[int], channels: int) -> Shapes:
    """(Mask)SparseEncoderHD with two residual blocks a stage; kernels `[z, y, x, in, out]` as spconv 1 saves them."""

    def conv(name: str, before: int, after: int, size: int = 3) -> Shapes:
        return {f"{name}.weight": (size, size, size, before, after)}

    shapes = conv("pts_middle_encoder.conv_input.0", in_channels, stages[0])
    shapes |= batch_norm("pts_middle_encoder.conv_input.1", stages[0])
    for i, c in enumerate(stages):
        part = f"pts_middle_encoder.encoder_layers.encoder_layer{i + 1}"
        for block in range(2):
            for k in (1, 2):
                shapes |= conv(f"{part}.{block}.conv{k}", c, c) | batch_norm(f"{part}.{block}.bn{k}", c)
        if i + 1 < len(stages):
            shapes |= conv(f"{part}.2.0", c, stages[i + 1]) | batch_norm(f"{part}.2.1", stages[i + 1])
    shapes |= conv("pts_middle_encoder.conv_out.0", stages[-1], channels, 1)
    return shapes | batch_norm("pts_middle_encoder.conv_out.1", channels)


def second(in_channels: int, branches: Sequence[int], blocks: int, channels: int, extra: int) -> Shapes:
    """SECOND3D with three branches of stride 1, 2 and 4, SECOND3DFPN, and `extra` convolutions after it."""
    shapes: Shapes = {}
    for b, c in enumerate(branches):
        for k in range(1 + blocks):
            before = c if k else in_channels
            shapes |= layer(f"pts_backbone.blocks.{b}.{3 * k}", c, before, 1, 3, 3, bias=False)
            shapes |= batch_norm(f"pts_backbone.blocks.{b}.{3 * k + 1}", c)
        stride = 2**b
        # The transposed convolutions of the others have their input channels first.
        size = (channels, c) if stride == 1 else (c, channels)
        shapes |= layer(f"pts_neck.deblocks.{b}.0", *size, 1, stride, stride, bias=False)
        shapes |= batch_norm(f"pts_neck.deblocks.{b}.1", channels)
    for k in range(extra):
        shapes |= layer(f"pts_neck.extra_blocks.{3 * k}", channels, channels, 3, 3, 3, bias=False)
        shapes |= batch_norm(f"pts_neck.extra_blocks.{3 * k + 1}", channels)
    return shapes


def detection_head(channels: int, queries: int, layers: int, ffn: int, denoising: bool) -> Shapes:
    """UVTRHead, or UVTRDNHead with `denoising`."""
    head = "pts_bbox_head"
    shapes: Shapes = {f"{head}.code_weights": (CODE,)}
    for i in range(layers):
        part = f"{head}.transformer.decoder.layers.{i}"
        attention, read = f"{part}.attentions.0.attn", f"{part}.attentions.1"
        shapes |= {
            f"{attention}.in_proj_weight": (3 * channels, channels),
            f"{attention}.in_proj_bias": (3 * channels,),
        }
        shapes |= layer(f"{attention}.out_proj", channels, channels)
        shapes |= layer(f"{read}.attention_weights", 1, channels) | layer(f"{read}.output_proj", channels, channels)
        for k, size in ((0, 3), (3, channels)):
            shapes |= layer(f"{read}.position_encoder.{k}", channels, size)
            shapes |= layer_norm(f"{read}.position_encoder.{k + 1}", channels)
        shapes |= layer(f"{part}.ffns.0.layers.0.0", ffn, channels) | layer(f"{part}.ffns.0.layers.1", channels, ffn)
        for k in range(3):
            shapes |= layer_norm(f"{part}.norms.{k}", channels)
        shapes |= branch(f"{head}.cls_branches.{i}", channels, CLASSES, normed=True)
        shapes |= branch(f"{head}.reg_branches.{i}", channels, CODE)
        if denoising:
            shapes |= branch(f"{head}.iou_branches.{i}", channels, 1)
    if denoising:
        shapes |= layer(f"{head}.query_embedding.0", channels, 3) | layer(
            f"{head}.query_embedding.2", channels, channels
        )
        return shapes | {f"{head}.reference_points.weight": (queries, 3)}
    shapes |= {f"{head}.query_embedding.weight": (queries, 2 * channels)}
    return shapes | layer(f"{head}.transformer.reference_points", 3, channels)


def branch(name: str, channels: int, outputs: int, normed: bool = False) -> Shapes:
    step = 3 if normed else 2
    shapes: Shapes = {}
    for k in range(2):
        shapes |= layer(f"{name}.{step * k}", channels, channels)
        if normed:
            shapes |= layer_norm(f"{name}.{step * k + 1}", channels)
    return shapes | layer(f"{name}.{2 * step}", outputs, channels)


def render_head(channels: int, features: int = 32, hidden: int = 16) -> Shapes:
    """RenderHead with NeuS' model: 6 layers of signed distance, 4 of color."""
    part = "pts_bbox_head.render_model.field"
    shapes = layer("pts_bbox_head.render_conv.0", features, channels, 3, 3, 3)
    shapes |= batch_norm("pts_bbox_head.render_conv.1", features)
    decoders = {"sdf_decoder": (features, hidden + 1, 6), "rgb_decoder": (3 + features + 3 + hidden, 3, 4)}
    for name, (condition, outputs, layers) in decoders.items():
        shapes |= layer(f"{part}.{name}.fc_p", hidden, 3)
        for k in range(layers):
            shapes |= layer(f"{part}.{name}.fc_c.{k}", hidden, condition)
            shapes |= layer(f"{part}.{name}.lin{k}", outputs if k + 1 == layers else hidden, hidden)
    one = (1,)
    return shapes | {
        f"{part}.laplace_density.beta_min": one,
        f"{part}.laplace_density.beta": one,
        f"{part}.deviation_network.variance": one,
    }


def random_weights(shapes: Shapes, seed: int = 0) -> dict[str, Tensor]:
    """Values under which every layer passes on about what it gets, and no two weights are alike."""
    generator = torch.Generator().manual_seed(seed)

    def value(name: str, shape: tuple[int, ...]) -> Tensor:
        if name.endswith("num_batches_tracked"):
            return torch.tensor(7)
        drawn = torch.randn(shape, generator=generator)
        if name.endswith("running_var") or (name.endswith(".weight") and len(shape) == 1):
            return 0.5 + torch.rand(shape, generator=generator)
        if name.endswith("reference_points.weight") and shape[-1] == 3:
            return torch.rand(shape, generator=generator)
        if name.endswith("variance"):
            return torch.full(shape, 0.3)
        if len(shape) < 2:
            return 0.3 * drawn
        # All axes but that of the outputs: first, or last in a sparse kernel.
        outputs = shape[-1] if "pts_middle_encoder" in name else shape[0]
        return drawn * (2 * outputs / drawn.numel()) ** 0.5

    return {name: value(name, shape) for name, shape in shapes.items()}
