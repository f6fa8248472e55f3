"""What the weights of a published BEVFormer are called here, and which of them no model here has.

The names are those of BEVFormer's modules on mmdet3d 0.17 (github.com/fundamentalvision/BEVFormer).
"""

from collections.abc import Callable

from .published_names import Rule

DEFORMABLE = ".conv_offset."
"""What names of a backbone's deformable convolutions have in them."""

CAN_BUS = "encoder.lift.can_bus_mlp."
"""What names of the layers that read the car's signals begin with here."""

_BACKBONE = (
    Rule(r"img_backbone\.conv1\.(\w+)", r"encoder.img_backbone.stem.embedder.convolution.\1"),
    Rule(r"img_backbone\.bn1\.(\w+)", r"encoder.img_backbone.stem.embedder.normalization.\1"),
)


def _block(template: str) -> Callable:
    """Number stages and layers from 0, not from 1."""
    return lambda m: template.format(
        stage=int(m["stage"]) - 1, block=m["block"], layer=int(m["layer"] or 1) - 1, weight=m["weight"]
    )


_STAGE = r"img_backbone\.layer(?P<stage>[1-4])\.(?P<block>INDEX)\."
_PLACE = "encoder.img_backbone.stages.{stage}.layers.{block}."
_BLOCKS = (
    Rule(_STAGE + r"conv(?P<layer>[123])\.(?P<weight>\w+)", _block(_PLACE + "layer.{layer}.convolution.{weight}")),
    Rule(_STAGE + r"bn(?P<layer>[123])\.(?P<weight>\w+)", _block(_PLACE + "layer.{layer}.normalization.{weight}")),
    Rule(_STAGE + r"downsample\.0(?P<layer>)\.(?P<weight>\w+)", _block(_PLACE + "shortcut.convolution.{weight}")),
    Rule(_STAGE + r"downsample\.1(?P<layer>)\.(?P<weight>\w+)", _block(_PLACE + "shortcut.normalization.{weight}")),
)

_TRANSFORMER = r"pts_bbox_head\.transformer"
_CELLS = _TRANSFORMER + r"\.encoder\.layers\.(INDEX)"
_LIFT = (
    Rule(r"(img_neck\.(?:lateral|fpn)_convs\.INDEX\.conv\.\w+)", r"encoder.\1"),
    Rule(r"pts_bbox_head\.bev_embedding\.weight", r"encoder.lift.queries.weight"),
    Rule(r"pts_bbox_head\.positional_encoding\.(row|col)_embed\.weight", r"encoder.lift.position.\1_embed.weight"),
    Rule(_TRANSFORMER + r"\.can_bus_mlp\.([02])\.(\w+)", CAN_BUS + r"\1.\2"),
    Rule(_TRANSFORMER + r"\.can_bus_mlp\.norm\.(\w+)", CAN_BUS + r"4.\1"),
    Rule(_TRANSFORMER + r"\.level_embeds", r"encoder.lift.level_embeds"),
    Rule(_TRANSFORMER + r"\.cams_embeds", r"encoder.lift.camera_embeds"),
    Rule(_CELLS + r"\.attentions\.0\.((?:value|output)_proj\.\w+)", r"encoder.lift.layers.\1.self_attn.\2"),
    # Of both planes: `split_planes` takes them apart.
    Rule(
        _CELLS + r"\.attentions\.0\.(sampling_offsets|attention_weights)\.(\w+)",
        r"encoder.lift.layers.\1.self_attn.both_planes.\2.\3",
    ),
    Rule(
        _CELLS + r"\.attentions\.1\.deformable_attention\.((?:sampling_offsets|attention_weights|value_proj)\.\w+)",
        r"encoder.lift.layers.\1.cross_attn.\2",
    ),
    Rule(_CELLS + r"\.attentions\.1\.(output_proj\.\w+)", r"encoder.lift.layers.\1.cross_attn.\2"),
    Rule(_CELLS + r"\.ffns\.0\.(layers\.(?:0\.0|1)\.\w+)", r"encoder.lift.layers.\1.ffn.\2"),
    Rule(_CELLS + r"\.norms\.(INDEX)\.(\w+)", r"encoder.lift.layers.\1.norms.\2.\3"),
)

_LAYER = _TRANSFORMER + r"\.decoder\.layers\.(INDEX)"
_HEAD = (
    Rule(
        _LAYER + r"\.attentions\.0\.(attn\.(?:in_proj_\w+|out_proj\.\w+))", r"head.decoder.layers.\1.layer.self_attn.\2"
    ),
    Rule(_LAYER + r"\.attentions\.1\.(\w+\.\w+)", r"head.decoder.layers.\1.layer.cross_attn.\2"),
    Rule(_LAYER + r"\.ffns\.0\.(layers\.(?:0\.0|1)\.\w+)", r"head.decoder.layers.\1.layer.ffn.\2"),
    Rule(_LAYER + r"\.norms\.(INDEX)\.(\w+)", r"head.decoder.layers.\1.layer.norms.\2.\3"),
    Rule(r"pts_bbox_head\.((?:cls|reg)_branches\.INDEX\.INDEX\.\w+)", r"head.decoder.\1"),
    Rule(r"pts_bbox_head\.query_embedding\.weight", r"head.queries.embedding.weight"),
    Rule(_TRANSFORMER + r"\.reference_points\.(\w+)", r"head.queries.reference.\1"),
)

RULES = (*_BACKBONE, *_BLOCKS, *_LIFT, *_HEAD)


def rename(published: str) -> str | None:
    """Return what a weight of a published BEVFormer is called here; None where no rule knows it."""
    for rule in RULES:
        match = rule.match(published)
        if match is not None:
            return rule.name_of(match)
    return None
