"""The parts of an encoder that mmdet3d has too, under the names and in the layouts of its own modules.

The names are facts about mmdet 3.3 (`ResNet`, `FPN`), mmpretrain 1.2 (`ConvNeXt`) and mmdet3d 1.4 (`SparseEncoder`,
`MinkUNetBackbone`).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ponderv2.errors import UserError

from .loaded_encoder import load_encoder
from .writing import write_checkpoint

NO_COUNTERPART = {
    "input_proj": "a convolution after the neck, which stock detectors do without",
    "depth_net": "of the lift",
    "lift": "stock detectors fill no volume from images",
    "convs": "convolutions of the volume",
    "pts_backbone": "keeps height as an axis, where mmdet3d's SECOND has it in the channels",
    "pts_neck": "keeps height as an axis, where mmdet3d's SECONDFPN has it in the channels",
    "fuse": "convolutions of the volume",
    "mask_token": "of the masking",
}
"""Parts of an encoder that no module of mmdet3d has, and why."""

_PROJECTION = "its last layer keeps height, where mmdet3d's has a kernel of three cells of height"


@dataclass(frozen=True)
class StockWeights:
    """The weights of an encoder for mmdet3d's own modules.

    Attributes:
        weights: weights by name; names begin with `img_backbone.`, `img_neck.` or `pts_middle_encoder.`.
        modules: the module of mmdet3d that the weights of each of these are for.
        left_out: parts and layers of the encoder that have no place there, and why.
    """

    weights: dict[str, Tensor]
    modules: dict[str, str]
    left_out: dict[str, str]


def write_stock_checkpoint(source: Path, out: Path) -> StockWeights:
    """Write a plain checkpoint for mmdet3d's own modules from an exported encoder, and return what is in it.

    Args:
        source: `encoder.safetensors`; it is not trusted.
        out: checkpoint to write, `.pth`: tensors and texts alone, which mmengine reads.

    Raises:
        FileNotFoundError, UserError: as `load_encoder`, or no part of the encoder is one of mmdet3d's.
    """
    loaded = load_encoder(source)
    header = loaded.report.header
    stock = stock_weights(loaded.encoder.state_dict(), header.encoder)
    if not stock.weights:
        raise UserError(
            f"{source}: no part of its {header.encoder['type']} is one of mmdet3d's: "
            + "; ".join(f"{part}: {reason}" for part, reason in stock.left_out.items())
        )
    meta = {"source": source.name, "encoder_sha256": header.sha256, "recipe": header.name, "for": "mmdet3d"}
    write_checkpoint(out, stock.weights, meta)
    return stock


def stock_weights(weights: Mapping[str, Tensor], config: Mapping) -> StockWeights:
    """Give the weights of an encoder the names and layouts of mmdet3d's own modules.

    Sparse kernels get the order of axes `[z, y, x, in, out]`, which mmdet3d takes every kernel for that comes without
    spconv's version number: `init_cfg` passes none on.

    Args:
        weights: state dict of the encoder.
        config: config of the encoder with the classes' names as types, as in the header of its file.

    Raises:
        UserError: a weight of a part that mmdet3d has is called as none of that part's is.
    """
    found, modules, left_out = {}, {}, {}
    for name, value in weights.items():
        sensor, _, inner = name.partition(".")
        place = config.get(sensor) if sensor in ("camera", "lidar") else None
        part, _, rest = (inner if place else name).partition(".")
        setting = (place or config).get(part)
        kind = setting.get("type") if isinstance(setting, Mapping) else None
        if kind not in _MODULES:
            reason = NO_COUNTERPART.get(part, f"mmdet3d has no {kind}")
            left_out[f"{sensor}.{part}" if place else part] = reason
            continue
        module, rename = _MODULES[kind]
        renamed = rename(rest)
        if renamed is None:
            raise UserError(f"{name}: no weight of {kind} is called so")
        if renamed == "":
            left_out[name] = _PROJECTION
            continue
        modules[part] = module
        renamed = renamed.replace("BLOCKS", str(setting.get("blocks", 2)))
        found[f"{part}.{renamed}"] = _spconv1(value) if part == "pts_middle_encoder" else value.clone()
    return StockWeights(found, modules, left_out)


def _spconv1(value: Tensor) -> Tensor:
    return (value.permute(1, 2, 3, 4, 0) if value.dim() == 5 else value).clone()


Rules = tuple[tuple[str, Callable[[re.Match], str]], ...]


def _renamed(rules: Rules) -> Callable[[str], str | None]:
    """Make a function that renames by the first rule whose pattern is the whole name; None where none is."""

    def rename(name: str) -> str | None:
        for pattern, template in rules:
            if match := re.fullmatch(pattern, name):
                return template(match)
        return None

    return rename


_RESNET: Rules = (
    (r"stem\.embedder\.convolution\.(\w+)", lambda m: f"conv1.{m[1]}"),
    (r"stem\.embedder\.normalization\.(\w+)", lambda m: f"bn1.{m[1]}"),
    (
        r"stages\.(\d+)\.layers\.(\d+)\.layer\.(\d)\.convolution\.(\w+)",
        lambda m: f"layer{int(m[1]) + 1}.{m[2]}.conv{int(m[3]) + 1}.{m[4]}",
    ),
    (
        r"stages\.(\d+)\.layers\.(\d+)\.layer\.(\d)\.normalization\.(\w+)",
        lambda m: f"layer{int(m[1]) + 1}.{m[2]}.bn{int(m[3]) + 1}.{m[4]}",
    ),
    (
        r"stages\.(\d+)\.layers\.(\d+)\.shortcut\.convolution\.(\w+)",
        lambda m: f"layer{int(m[1]) + 1}.{m[2]}.downsample.0.{m[3]}",
    ),
    (
        r"stages\.(\d+)\.layers\.(\d+)\.shortcut\.normalization\.(\w+)",
        lambda m: f"layer{int(m[1]) + 1}.{m[2]}.downsample.1.{m[3]}",
    ),
)
_CONVNEXT_LAYER = {
    "dwconv": "depthwise_conv",
    "layernorm": "norm",
    "pwconv1": "pointwise_conv1",
    "pwconv2": "pointwise_conv2",
}
_CONVNEXT: Rules = (
    (r"stem\.patch_embeddings\.(\w+)", lambda m: f"downsample_layers.0.0.{m[1]}"),
    (r"stem\.layernorm\.(\w+)", lambda m: f"downsample_layers.0.1.{m[1]}"),
    (r"stages\.(\d+)\.downsampling_layer\.(\d)\.(\w+)", lambda m: f"downsample_layers.{m[1]}.{m[2]}.{m[3]}"),
    (r"stages\.(\d+)\.layers\.(\d+)\.layer_scale_parameter", lambda m: f"stages.{m[1]}.{m[2]}.gamma"),
    (
        r"stages\.(\d+)\.layers\.(\d+)\.(dwconv|layernorm|pwconv1|pwconv2)\.(\w+)",
        lambda m: f"stages.{m[1]}.{m[2]}.{_CONVNEXT_LAYER[m[3]]}.{m[4]}",
    ),
    (r"norms\.(\d+)\.(\w+)", lambda m: f"norm{m[1]}.{m[2]}"),
)
_SPARSE: Rules = (
    (r"stem\.conv\.(\w+)", lambda m: f"conv_input.0.{m[1]}"),
    (r"stem\.norm\.(\w+)", lambda m: f"conv_input.1.{m[1]}"),
    (
        r"stages\.(\d+)\.(\d+)\.(conv|norm)([12])\.(\w+)",
        lambda m: (
            f"encoder_layers.encoder_layer{int(m[1]) + 1}.{m[2]}.{'bn' if m[3] == 'norm' else 'conv'}{m[4]}.{m[5]}"
        ),
    ),
    # The last of a stage, after its residual blocks.
    (r"down\.(\d+)\.conv\.(\w+)", lambda m: f"encoder_layers.encoder_layer{int(m[1]) + 1}.BLOCKS.0.{m[2]}"),
    (r"down\.(\d+)\.norm\.(\w+)", lambda m: f"encoder_layers.encoder_layer{int(m[1]) + 1}.BLOCKS.1.{m[2]}"),
    (r"project(_norm)?\.(\w+)", lambda m: ""),
)
_AS_IT_IS: Rules = ((r".*", lambda m: m[0]),)

_MODULES: dict[str, tuple[str, Callable[[str], str | None]]] = {
    "PonderResNet": ("mmdet.ResNet(style='pytorch')", _renamed(_RESNET)),
    "PonderConvNeXt": ("mmpretrain.ConvNeXt(gap_before_final_norm=False)", _renamed(_CONVNEXT)),
    "FPN": ("mmdet.FPN", _renamed(_AS_IT_IS)),
    "HeightKeepingSparseEncoder": ("SparseEncoder(block_type='basicblock')", _renamed(_SPARSE)),
    "VoxelMinkUNet": ("MinkUNetBackbone(sparseconv_backend='spconv')", _renamed(_AS_IT_IS)),
}
"""Classes here that mmdet3d has too, by its name, and how their weights are called there."""
