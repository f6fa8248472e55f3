"""From the weights of a published checkpoint to those of a model here: nothing missing, nothing left over."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ponderv2.checkpoints.coverage import compare
from ponderv2.errors import UserError

from .published_file import sensors_of
from .published_layouts import PUBLISHED_CLASSES, change_layouts
from .published_names import rename

_NAMED = 3
"""How many keys of a kind an error names."""

NOT_WEIGHTS = {
    r"pts_bbox_head\.code_weights": "factors of the loss, which the recipe has",
    r"pts_bbox_head\.render_model\.field\.laplace_density\.\w+": "of VolSDF, which NeuS does without",
}
"""Published names that are no weights of any model here, and why."""

NOT_READ = {
    r"img_backbone\.norm0\.\w+": "of a map that the neck does not read",
    r"pts_bbox_head\.render_model\.field\.rgb_decoder\..*": "not trained, since colors have no loss with LiDAR",
}
"""Published names that the model may lack, and why. They are left out where it does."""


@dataclass(frozen=True)
class Conversion:
    """The outcome of a conversion.

    Attributes:
        weights: weights by their names here: all of the model's, and no others.
        unused: published names that no weight comes from, and why.
    """

    weights: dict[str, Tensor]
    unused: dict[str, str]


def convert_published(
    published: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    where: str,
    classes: Sequence[str] = PUBLISHED_CLASSES,
) -> Conversion:
    """Give published weights the names and layouts that a model has.

    Args:
        published: state dict of a published detector or pre-training.
        own: state dict of the model; shapes are enough, so it may be on the device "meta".
        where: name of the published weights in error messages.
        classes: the classes that the published detector tells apart, by label.

    Raises:
        UserError: two published weights have one name here, published weights are left over, or the model has weights
            that they do not give or has them in other shapes. The first keys of each are named.
    """
    fusion = len(sensors_of(published)) > 1
    named: dict[str, Tensor] = {}
    origin: dict[str, str] = {}
    unused: dict[str, str] = {}
    left_over = []
    for key, value in published.items():
        name = rename(key, fusion)
        reason = _reason(NOT_WEIGHTS, key) or _reason(NOT_READ, key)
        if reason is not None and not _has(own, name):
            unused[key] = reason
        elif name is None:
            left_over.append(key)
        elif name in origin:
            raise UserError(f"{where}: {origin[name]} and {key} of its state_dict are both {name} here; expected one")
        else:
            named[name], origin[name] = value, key
    return fitted(own, change_layouts(named, classes), origin, left_over, unused, where)


def fitted(
    own: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    origin: Mapping[str, str],
    left_over: Sequence[str],
    unused: dict[str, str],
    where: str,
) -> Conversion:
    """Return weights that were renamed and laid out, if they are exactly those of the model.

    Args:
        own: state dict of the model; shapes are enough.
        weights: weights by their names here.
        origin: published names by names here, for messages.
        left_over: published names that are called nothing here.
        unused: published names that no weight comes from, and why.
        where: name of the published weights in error messages.

    Raises:
        UserError: as `convert_published`.
    """
    found = compare(dict(own), dict(weights))
    left_over = [*left_over, *(origin.get(name, name) for name in found.unexpected)]
    wrong = {
        "left over": left_over,
        "missing": found.missing,
        "of another shape": found.shape,
    }
    problems = [f"{len(keys)} {kind}: {_first(keys)}" for kind, keys in wrong.items() if keys]
    if problems:
        raise UserError(f"{where} does not fit the model, weights are {'; '.join(problems)}")
    # Each with memory of its own, in its own order: rows and axes were taken out of others.
    copies = {name: weights[name].clone(memory_format=torch.contiguous_format) for name in own}
    return Conversion(copies, unused)


def _has(own: Mapping[str, Tensor], name: str | None) -> bool:
    """Tell whether the model has the part that a weight is of, whose own name on the way may be no final one."""
    if name is None:
        return False
    before, decoder, _ = name.partition(".color_mlp.")
    return any(key.startswith(before + decoder) for key in own)


def _reason(table: Mapping[str, str], key: str) -> str | None:
    return next((reason for pattern, reason in table.items() if re.fullmatch(pattern, key)), None)


def _first(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return ", ".join(keys[:_NAMED]) + more
