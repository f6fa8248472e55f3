"""What a weight of a published checkpoint is called here.

The names are those of UniPAD's and UVTR's modules on mmdet3d 0.17. A weight that has another layout here gets a name on
the way that says which, and `published_layouts` makes the final one of it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

SENSORS = {"camera": "img_backbone.", "lidar": "pts_middle_encoder."}
"""Each sensor, and how the published names of its encoder begin."""


_INDEX = r"(?:0|[1-9][0-9]*)"
"""What `INDEX` in a pattern stands for: a number from 0 on, written in one way alone."""

_COUNT = r"[1-9][0-9]*"
"""What `COUNT` in a pattern stands for: a number from 1 on."""


@dataclass(frozen=True)
class Rule:
    """The names of some weights, there and here.

    Attributes:
        published: pattern of the whole published name; INDEX and COUNT stand for numbers.
        name: the name here, a template of `re.Match.expand` or what computes it. CAMERA and LIDAR stand for the place
            of the sensor's encoder.
    """

    published: str
    name: str | Callable[[re.Match], str]

    def match(self, name: str) -> re.Match | None:
        """Match a whole published name."""
        return re.fullmatch(self.published.replace("INDEX", _INDEX).replace("COUNT", _COUNT), name, re.ASCII)

    def name_of(self, match: re.Match) -> str:
        """Return the name here of a published name that the pattern matches."""
        return match.expand(self.name) if isinstance(self.name, str) else self.name(match)


def _counted(template: str) -> Callable[[re.Match], str]:
    """Number stages from 0, not from 1: `{0}` is the first group less one, `{1}` and so on are the others."""
    return lambda match: template.format(int(match[1]) - 1, *match.groups()[1:])


def _in_threes(template: str) -> Callable[[re.Match], str]:
    """Read a row of convolution, norm, ReLU and so on by threes: `{step}` is the three, `{part}` conv or bn."""

    def name(match: re.Match) -> str:
        step, part = divmod(int(match["place"]), 3)
        return template.format(step=step, part=("conv", "bn", "relu")[part], **match.groupdict())

    return name


_CAMERA = (
    # MaskConvNeXt
    Rule(r"img_backbone\.downsample_layers\.0\.0\.(\w+)", r"CAMERA.img_backbone.stem.patch_embeddings.\1"),
    Rule(r"img_backbone\.downsample_layers\.0\.1\.(\w+)", r"CAMERA.img_backbone.stem.layernorm.\1"),
    Rule(
        r"img_backbone\.downsample_layers\.([1-9])\.(INDEX)\.(\w+)",
        r"CAMERA.img_backbone.stages.\1.downsampling_layer.\2.\3",
    ),
    Rule(
        r"img_backbone\.stages\.(INDEX)\.(INDEX)\.gamma",
        r"CAMERA.img_backbone.stages.\1.layers.\2.layer_scale_parameter",
    ),
    Rule(
        r"img_backbone\.stages\.(INDEX)\.(INDEX)\.norm\.(\w+)", r"CAMERA.img_backbone.stages.\1.layers.\2.layernorm.\3"
    ),
    Rule(
        r"img_backbone\.stages\.(INDEX)\.(INDEX)\.(dwconv|pwconv[12])\.(\w+)",
        r"CAMERA.img_backbone.stages.\1.layers.\2.\3.\4",
    ),
    Rule(r"img_backbone\.norm(INDEX)\.(\w+)", r"CAMERA.img_backbone.norms.\1.\2"),
    # FPN or CustomFPN, and the projection after it
    Rule(r"(img_neck\.(?:lateral|fpn)_convs\.INDEX\.conv\.\w+)", r"CAMERA.\1"),
    Rule(r"(input_proj\.\w+)", r"CAMERA.\1"),
    # SimpleDepth
    Rule(r"depth_net\.(weight|bias)", r"CAMERA.depth_net.conv.\1"),
    # ComplexDepth
    Rule(
        r"depth_net\.reduce_conv\.(?P<place>[01])\.(?P<weight>\w+)",
        _in_threes("CAMERA.depth_net.reduce.{part}.{weight}"),
    ),
    Rule(r"depth_net\.depth_conv\.([012])\.((?:conv|bn)[12]\.\w+)", r"CAMERA.depth_net.blocks.\1.\2"),
    Rule(
        r"depth_net\.depth_conv\.3\.aspp(COUNT)\.atrous_conv\.(\w+)",
        _counted("CAMERA.depth_net.pyramid.branches.{0}.conv.{1}"),
    ),
    Rule(r"depth_net\.depth_conv\.3\.aspp(COUNT)\.bn\.(\w+)", _counted("CAMERA.depth_net.pyramid.branches.{0}.bn.{1}")),
    Rule(r"depth_net\.depth_conv\.3\.global_avg_pool\.1\.(\w+)", r"CAMERA.depth_net.pyramid.image_mean.conv.\1"),
    Rule(r"depth_net\.depth_conv\.3\.global_avg_pool\.2\.(\w+)", r"CAMERA.depth_net.pyramid.image_mean.bn.\1"),
    Rule(r"depth_net\.depth_conv\.3\.(conv|bn)1\.(\w+)", r"CAMERA.depth_net.pyramid.merge.\1.\2"),
    Rule(r"depth_net\.depth_conv\.4\.(\w+)", r"CAMERA.depth_net.bins.\1"),
    # The convolutions after the lift
    Rule(
        r"pts_bbox_head\.view_trans\.conv_layer\.(?P<layer>INDEX)\.(?P<place>[01])\.(?P<weight>\w+)",
        _in_threes("CAMERA.convs.{layer}.{part}.{weight}"),
    ),
)

_SPARSE = r"pts_middle_encoder\.encoder_layers\.encoder_layer(COUNT)"
_LIDAR = (
    # (Mask)SparseEncoderHD
    Rule(r"pts_middle_encoder\.conv_input\.0\.(\w+)", r"LIDAR.pts_middle_encoder.stem.conv.\1"),
    Rule(r"pts_middle_encoder\.conv_input\.1\.(\w+)", r"LIDAR.pts_middle_encoder.stem.norm.\1"),
    Rule(_SPARSE + r"\.(INDEX)\.conv([12])\.(\w+)", _counted("LIDAR.pts_middle_encoder.stages.{0}.{1}.conv{2}.{3}")),
    Rule(_SPARSE + r"\.(INDEX)\.bn([12])\.(\w+)", _counted("LIDAR.pts_middle_encoder.stages.{0}.{1}.norm{2}.{3}")),
    Rule(_SPARSE + r"\.INDEX\.0\.(\w+)", _counted("LIDAR.pts_middle_encoder.down.{0}.conv.{1}")),
    Rule(_SPARSE + r"\.INDEX\.1\.(\w+)", _counted("LIDAR.pts_middle_encoder.down.{0}.norm.{1}")),
    Rule(r"pts_middle_encoder\.conv_out\.0\.(\w+)", r"LIDAR.pts_middle_encoder.project.\1"),
    Rule(r"pts_middle_encoder\.conv_out\.1\.(\w+)", r"LIDAR.pts_middle_encoder.project_norm.\1"),
    # SECOND3D, SECOND3DFPN, and the convolutions after it
    Rule(
        r"pts_backbone\.blocks\.(?P<branch>INDEX)\.(?P<place>INDEX)\.(?P<weight>\w+)",
        _in_threes("LIDAR.pts_backbone.branches.{branch}.{step}.{part}.{weight}"),
    ),
    Rule(r"pts_neck\.deblocks\.(INDEX)\.(INDEX)\.(\w+)", r"LIDAR.pts_neck.lateral.\1.\2.\3"),
    Rule(
        r"pts_neck\.extra_blocks\.(?P<place>INDEX)\.(?P<weight>\w+)", _in_threes("LIDAR.convs.{step}.{part}.{weight}")
    ),
)

_FUSION = (
    Rule(r"pts_bbox_head\.conv_trans_head_(COUNT)\.0\.(\w+)", _counted("encoder.fuse.{0}.conv.{1}")),
    Rule(r"pts_bbox_head\.conv_trans_head_(COUNT)\.1\.(\w+)", _counted("encoder.fuse.{0}.bn.{1}")),
)

_LAYER = r"pts_bbox_head\.transformer\.decoder\.layers\.(INDEX)"
_DETECTION = (
    Rule(_LAYER + r"\.attentions\.0\.attn\.in_proj_(\w+)", r"head.decoder.layers.\1.self_attention.in_proj.\2"),
    Rule(_LAYER + r"\.attentions\.0\.attn\.out_proj\.(\w+)", r"head.decoder.layers.\1.self_attention.output_proj.\2"),
    Rule(_LAYER + r"\.attentions\.1\.attention_weights\.(\w+)", r"head.decoder.layers.\1.cross_attention.gate.\2"),
    Rule(
        _LAYER + r"\.attentions\.1\.((?:output_proj|position_encoder\.INDEX)\.\w+)",
        r"head.decoder.layers.\1.cross_attention.\2",
    ),
    Rule(_LAYER + r"\.ffns\.0\.layers\.0\.0\.(\w+)", r"head.decoder.layers.\1.ffn.0.\2"),
    Rule(_LAYER + r"\.ffns\.0\.layers\.1\.(\w+)", r"head.decoder.layers.\1.ffn.3.\2"),
    Rule(_LAYER + r"\.norms\.(INDEX)\.(\w+)", r"head.decoder.layers.\1.norms.\2.\3"),
    Rule(r"pts_bbox_head\.((?:cls|reg|iou)_branches\.INDEX\.INDEX\.\w+)", r"head.decoder.\1"),
    # UVTRHead
    Rule(r"pts_bbox_head\.query_embedding\.weight", r"head.queries.embedding.weight"),
    Rule(r"pts_bbox_head\.transformer\.reference_points\.(\w+)", r"head.queries.reference.\1"),
    # UVTRDNHead
    Rule(r"pts_bbox_head\.query_embedding\.(INDEX)\.(\w+)", r"head.queries.position.\1.\2"),
    Rule(r"pts_bbox_head\.reference_points\.weight", r"head.queries.references.fractions"),
)

_FIELD = r"pts_bbox_head\.render_model\.field"
_RENDERING = (
    Rule(
        r"pts_bbox_head\.render_conv\.(?P<place>[01])\.(?P<weight>\w+)", _in_threes("head.render_conv.{part}.{weight}")
    ),
    Rule(_FIELD + r"\.sdf_decoder\.fc_p\.(\w+)", r"head.renderer.field.sdf_mlp.point_proj.\1"),
    Rule(_FIELD + r"\.sdf_decoder\.fc_c\.(INDEX)\.(\w+)", r"head.renderer.field.sdf_mlp.condition_proj.\1.\2"),
    Rule(_FIELD + r"\.sdf_decoder\.lin(INDEX)\.(\w+)", r"head.renderer.field.sdf_mlp.layers.\1.\2"),
    Rule(_FIELD + r"\.rgb_decoder\.fc_p\.(\w+)", r"head.renderer.field.color_mlp.point_proj.\1"),
    Rule(_FIELD + r"\.rgb_decoder\.fc_c\.(INDEX)\.(\w+)", r"head.renderer.field.color_mlp.condition_proj.\1.\2"),
    Rule(_FIELD + r"\.rgb_decoder\.lin(INDEX)\.(\w+)", r"head.renderer.field.color_mlp.layers.\1.\2"),
    Rule(_FIELD + r"\.deviation_network\.variance", r"head.renderer.opacity.log_sharpness"),
)

RULES = (*_CAMERA, *_LIDAR, *_FUSION, *_DETECTION, *_RENDERING)


def rename(published: str, fusion: bool) -> str | None:
    """Return what a published weight is called here; None where no rule knows it.

    Args:
        published: name in the published state dict.
        fusion: whether the model has a `FusionEncoder`, in which each sensor's encoder has a place of its own.
    """
    for rule in RULES:
        match = rule.match(published)
        if match is not None:
            name = rule.name_of(match)
            for sensor in SENSORS:
                name = name.replace(f"{sensor.upper()}.", f"encoder.{sensor}." if fusion else "encoder.", 1)
            return name
    return None
