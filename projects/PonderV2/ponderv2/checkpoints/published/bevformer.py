"""From the weights of a published BEVFormer to those of the camera detector here."""

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ponderv2.errors import UserError

from .bevformer_names import CAN_BUS, DEFORMABLE, rename
from .conversion import NOT_WEIGHTS, Conversion, fitted
from .published_layouts import PUBLISHED_CLASSES, box_rows, order_classes

SIZES = ("tiny", "small", "base")
POINTS = 4
"""Sampling points of a head of the temporal self-attention in each plane; published."""

_RECIPES = {
    "tiny": "detection/bevformer_static_tiny_r50_8xb1_24e_nuscenes.py",
    "small": "detection/bevformer_static_small_r101_8xb1_24e_nuscenes.py",
    "base": "detection/bevformer_static_base_r101_8xb1_24e_nuscenes.py",
}
_STRIDES = {"tiny": (32,), "small": (32,), "base": (8, 16, 32, 64)}

_HISTORY = "of the volume of the frame before, which the recipe's model does not read"
_SIGNALS = "of the car's signals (CAN bus), which a lift without can_bus=True does not read"


def recipe_of(kind: str) -> tuple[str, dict[str, object]]:
    """Return the recipe in `configs/` of a kind, "bevformer-tiny" and so on, and the settings that its weights need.

    The published code takes every map for tiles of the image, whose pixels are counted from their edges.
    """
    size = kind.removeprefix("bevformer-")
    return _RECIPES[size], {"model.encoder.neck_offsets": tuple(stride / 2 for stride in _STRIDES[size])}


def convert_bevformer(
    published: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    where: str,
    classes: Sequence[str] = PUBLISHED_CLASSES,
) -> Conversion:
    """Give the weights of a published BEVFormer the names and layouts of a camera detector.

    A model without history takes of the temporal self-attention what reads the current plane, as if the frame before
    were zeros and nothing were averaged with it. The projection after the neck, which the published model has not,
    becomes the identity.

    Args:
        published: state dict of a published detector.
        own: state dict of the model; shapes are enough.
        where: name of the published weights in error messages.
        classes: the classes that the published detector tells apart, by label.

    Raises:
        UserError: the backbone has deformable convolutions; or as `convert_published`.
    """
    deformable = [name for name in published if DEFORMABLE in name]
    if deformable:
        raise UserError(
            f"{where}: {len(deformable)} weights are of deformable convolutions, the first {deformable[0]}; the "
            "ResNets here have plain ones, and BEVFormer-small and -base as published cannot be converted"
        )
    named: dict[str, Tensor] = {}
    origin: dict[str, str] = {}
    unused: dict[str, str] = {}
    left_over = []
    for key, value in published.items():
        name = rename(key)
        reason = next((reason for pattern, reason in NOT_WEIGHTS.items() if re.fullmatch(pattern, key)), None)
        if name is not None and name.startswith(CAN_BUS) and name not in own:
            reason = _SIGNALS
        if reason is not None:
            unused[key] = reason
        elif name is None:
            left_over.append(key)
        else:
            named[name], origin[name] = value, key
    weights = split_planes(box_rows(order_classes(named, classes)))
    for name in [name for name in weights if name not in own and re.search(r"\.self_attn\.\w*history\w*\.", name)]:
        unused[_published_name(name, origin)] = _HISTORY
        del weights[name]
    channels = own["encoder.input_proj.weight"].shape[0] if "encoder.input_proj.weight" in own else 0
    if channels:
        weights["encoder.input_proj.weight"] = torch.eye(channels)[:, :, None, None]
        weights["encoder.input_proj.bias"] = torch.zeros(channels)
    return fitted(own, weights, origin, left_over, unused, where)


def split_planes(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take apart the layers that predict points, and weights of points, in the earlier and the current plane.

    Their columns are for what the earlier plane has, then for the query; their rows are, head by head, for the earlier
    plane, then for the current one (`TemporalSelfAttention` of the published code).
    """
    split = {}
    for name, value in weights.items():
        part, found, rest = name.partition(".both_planes.")
        layer, _, kind = rest.partition(".")
        numbers = POINTS * (2 if layer == "sampling_offsets" else 1)
        if not found or len(value) % (2 * numbers):
            split[name] = value
            continue
        earlier, current = (rows.flatten(0, 1) for rows in value.unflatten(0, (-1, 2, numbers)).unbind(dim=1))
        short = "offsets" if layer == "sampling_offsets" else "weights"
        split[f"{part}.history_{short}.{kind}"] = earlier
        if kind == "weight":
            past, current = current.chunk(2, dim=1)
            split[f"{part}.{short}_from_history.weight"] = past
        split[f"{part}.{layer}.{kind}"] = current
    return split


def _published_name(name: str, origin: Mapping[str, str]) -> str:
    """The published name of a part of a layer of both planes."""
    part, _, rest = name.partition(".self_attn.")
    layer = "sampling_offsets" if "offsets" in rest else "attention_weights"
    return origin[f"{part}.self_attn.both_planes.{layer}.{rest.rpartition('.')[2]}"]
