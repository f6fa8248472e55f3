"""Weights whose published layout is another: which axes, rows and numbers they have there and here.

Each function takes all weights by their names here and changes those that it is about. A weight of another shape than
the published one is left as it is: the comparison with the model then names it.
"""

from collections.abc import Callable, Sequence

import torch
from mmdet3d.datasets import NuScenesDataset
from torch import Tensor

CLASSES = tuple(NuScenesDataset.METAINFO["classes"])
"""The classes of the detectors here by label, which are those of mmdet3d 1.x."""

PUBLISHED_CLASSES = (
    "car",
    "truck",
    "construction_vehicle",
    "bus",
    "trailer",
    "barrier",
    "motorcycle",
    "bicycle",
    "pedestrian",
    "traffic_cone",
)
"""The classes of UVTR's and UniPAD's configs by label."""

_CODE_SIZE = 10
_REFERENCE_EPS = 1e-5

Weights = dict[str, Tensor]


def change_layouts(weights: Weights, classes: Sequence[str] = PUBLISHED_CLASSES) -> Weights:
    """Bring all weights into the layout of the modules here.

    Args:
        weights: weights as published, by the names of `published_names.rename`.
        classes: the classes that the published detector tells apart, by label.
    """
    weights = order_classes(weights, classes)
    for change in _CHANGES:
        weights = change(weights)
    return weights


def fold_biases(weights: Weights) -> Weights:
    """Move the bias of a convolution before a batch norm, which here has none, into the norm's running mean."""
    folded = dict(weights)
    for name, bias in weights.items():
        mean = name.removesuffix("conv.bias") + "bn.running_mean"
        if name.endswith("conv.bias") and mean in weights and weights[mean].shape == bias.shape:
            folded[mean] = weights[mean] - bias
            del folded[name]
    return folded


def sparse_axes(weights: Weights) -> Weights:
    """Put the output channels of sparse kernels first: `[z, y, x, in, out]` of spconv 1 to `[out, z, y, x, in]`.

    Kernels that spconv 2 saved have that order already. Those of a single cell become matrices `[out, in]`.
    """

    def change(name: str, value: Tensor) -> Tensor:
        if ".pts_middle_encoder." not in name or value.dim() != 5:
            return value
        if len(set(value.shape[:3])) == 1 and value.shape[0] in (1, 3):
            value = value.permute(4, 0, 1, 2, 3)
        return value.flatten(1) if name.endswith(".project.weight") and set(value.shape[1:4]) == {1} else value

    return {name: change(name, value) for name, value in weights.items()}


def plane_kernels(weights: Weights) -> Weights:
    """Take out the axis of height, which is one cell long, of SECOND3D's kernels."""
    parts = (".pts_backbone.", ".pts_neck.")

    def is_flat(name: str, value: Tensor) -> bool:
        return any(part in name for part in parts) and value.dim() == 5 and value.shape[2] == 1

    return {name: value.squeeze(2) if is_flat(name, value) else value for name, value in weights.items()}


def split_projections(weights: Weights) -> Weights:
    """Split the joint projection of self-attention into that of queries and keys, and that of values."""
    split = {}
    for name, value in weights.items():
        part, joint, kind = name.rpartition(".in_proj.")
        if not joint or len(value) % 3:
            split[name] = value
            continue
        both = 2 * len(value) // 3
        split[f"{part}.query_key.{kind}"], split[f"{part}.value.{kind}"] = value[:both], value[both:]
    return split


def reference_logits(weights: Weights) -> Weights:
    """Turn learned references, fractions of the range, into logits, as the published head does at each step."""
    changed = {}
    for name, value in weights.items():
        if name.endswith(".references.fractions"):
            inside = value.clamp(0, 1)
            value = torch.log(inside.clamp(min=_REFERENCE_EPS) / (1 - inside).clamp(min=_REFERENCE_EPS))
            name = name.replace(".fractions", ".weight")
        changed[name] = value
    return changed


def order_classes(weights: Weights, classes: Sequence[str]) -> Weights:
    """Put the rows of the last layer of the class branches in the order of `CLASSES`."""
    order = [list(classes).index(name) for name in CLASSES]

    def is_last(name: str, value: Tensor) -> bool:
        return ".cls_branches." in name and name.split(".")[-2] == "6" and len(value) == len(order)

    return {name: value[order] if is_last(name, value) else value for name, value in weights.items()}


def box_rows(weights: Weights) -> Weights:
    """Make the last layer of the box branches predict the code of `heads.uvtr.box_code`.

    Boxes of mmdet3d before 1.0 have their width first, and a yaw that is −yaw − π/2 here: log l and log w trade places,
    the sine is minus their cosine and the cosine minus their sine.
    """
    order = [0, 1, 3, 2, 4, 5, 7, 6, 8, 9]
    sign = torch.tensor([1.0, 1, 1, 1, 1, 1, -1, -1, 1, 1])

    def change(name: str, value: Tensor) -> Tensor:
        if ".reg_branches." not in name or name.split(".")[-2] != "4" or len(value) != _CODE_SIZE:
            return value
        return value[order] * sign.to(value).reshape(-1, *[1] * (value.dim() - 1))

    return {name: change(name, value) for name, value in weights.items()}


def join_conditions(weights: Weights) -> Weights:
    """Join the projections of the condition, one for each layer of a decoder, into a single product."""
    joined, layers = {}, {}
    for name, value in weights.items():
        part, found, rest = name.partition(".condition_proj.")
        layer, _, kind = rest.partition(".")
        if found and layer.isdigit():
            layers.setdefault(f"{part}.condition_proj.{kind}", {})[int(layer)] = value
        else:
            joined[name] = value
    for name, by_layer in layers.items():
        if sorted(by_layer) == list(range(len(by_layer))):
            joined[name] = torch.cat([by_layer[k] for k in sorted(by_layer)])
        else:
            # A layer is missing: what is left must not take its place.
            part, _, kind = name.rpartition(".")
            joined |= {f"{part}.{k}.{kind}": value for k, value in by_layer.items()}
    return joined


def scalar_sharpness(weights: Weights) -> Weights:
    """Make NeuS' variance, a row of one number there, a number."""
    return {
        name: value.reshape(()) if name.endswith(".log_sharpness") and value.numel() == 1 else value
        for name, value in weights.items()
    }


_CHANGES: tuple[Callable[[Weights], Weights], ...] = (
    fold_biases,
    sparse_axes,
    plane_kernels,
    split_projections,
    reference_logits,
    box_rows,
    join_conditions,
    scalar_sharpness,
)
