"""A published checkpoint becomes one of a recipe here."""

from collections.abc import Mapping
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from ponderv2.checkpoints import coverage_table, write_checkpoint
from ponderv2.checkpoints.published import (
    Conversion,
    Fit,
    convert_bevformer,
    convert_published,
    fitting_recipe,
    read_published,
    recipe_of,
)
from ponderv2.errors import UserError
from ponderv2.registry import MODELS

from .launch import load_config
from .recipe_errors import recipe_errors

_MISSING_HISTORY = "model.encoder.lift.missing_history"
_UNIPAD_ALONE = ("pts_bbox_head.render_model.", "pts_bbox_head.reference_points.", "img_backbone.downsample_layers.")
"""Beginnings of names that UniPAD's models have and UVTR's have not: rendering, anchors, ConvNeXt."""


def convert(
    source: Path,
    out: Path,
    kind: str,
    recipes: Path,
    recipe: Path | None = None,
    options: Mapping[str, object] | None = None,
) -> list[str]:
    """Convert a published checkpoint, print which weights went where, and write the result.

    Args:
        source: the published checkpoint; it is not trusted, and nothing of it is run.
        out: checkpoint to write, `.pth`.
        kind: who published it, and for which sensors; one of `checkpoints.published.KINDS`.
        recipes: the folder `configs/`.
        recipe: recipe of the model; None takes the one that `fitting_recipe` names.
        options: changes to the recipe by key, with dots; they come after those that the published weights need.

    Returns:
        Words of a command line: the recipe, and the changes with which the weights compute what they were trained for.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: the file is no such checkpoint, or its weights are not exactly those of the model; nothing is written
            then.
    """
    published = read_published(source, kind)
    _check_maker(published.weights, kind, source)
    bevformer = kind.startswith("bevformer-")
    fit = Fit(*recipe_of(kind)) if bevformer else fitting_recipe(published.weights)
    options = fit.placement | (fit.head if recipe is None else {}) | dict(options or {})
    recipe = recipe or recipes / fit.recipe
    own = model_shapes(recipe, options)
    if bevformer and any(".self_attn.history_offsets." in name for name in own):
        # The published weights know no scene's start without an earlier plane.
        options = {_MISSING_HISTORY: "current"} | options
    try:
        change = convert_bevformer if bevformer else convert_published
        conversion = change(published.weights, own, str(source), published.classes)
    except UserError as error:
        raise UserError(f"{error}; it was taken for {recipe}, --config names another recipe") from error
    _print_parts(own, conversion)
    changes = _words(options)
    meta = {"source": source.name, "kind": kind, "recipe": recipe.name, "options": changes}
    write_checkpoint(out, conversion.weights, meta)
    return [str(recipe), *changes]


def _check_maker(weights: Mapping[str, Tensor], kind: str, source: Path) -> None:
    """Refuse UniPAD's weights under UVTR's name, where a key tells them; UVTR's have no key of their own."""
    key = next((name for name in weights if name.startswith(_UNIPAD_ALONE)), None)
    if kind.startswith("uvtr-") and key is not None:
        right = kind.replace("uvtr-", "unipad-")
        raise UserError(f"{source}: --from {kind} does not fit, {key} is UniPAD's alone; give --from {right}")


def model_shapes(recipe: Path, options: Mapping[str, object]) -> dict[str, Tensor]:
    """Build the model of a recipe without memory for its weights."""
    config = load_config(recipe, options=dict(options))
    if "encoder" not in config.get("model", {}):
        raise UserError(f"--config {recipe}: expected a recipe whose model has an encoder")
    with recipe_errors(recipe, "cannot be built", _words(options)), torch.device("meta"):
        return MODELS.build(config.model).state_dict()


def _words(options: Mapping[str, object]) -> list[str]:
    return [f"{key}={value}" for key, value in options.items()]


def _print_parts(own: Mapping[str, Tensor], conversion: Conversion) -> None:
    depth = 3 if any(name.startswith("encoder.camera.") for name in own) else 2
    prefixes = dict.fromkeys(
        ".".join(name.split(".")[: depth if name.startswith("encoder.") else 2]) + "." for name in own
    )
    table, _ = coverage_table(dict(own), conversion.weights, tuple(prefixes), "weights of the model")
    console = Console()
    console.print(table)
    reasons: dict[str, list[str]] = {}
    for name, reason in conversion.unused.items():
        reasons.setdefault(reason, []).append(name)
    for reason, names in reasons.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        console.print(f"not needed: {names[0]}{more}, {reason}", soft_wrap=True)
