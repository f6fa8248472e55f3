"""Settings that converted weights need, and whether a recipe has them."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.config import Config

from ponderv2.checkpoints import resolve_checkpoint
from ponderv2.compat.safe_checkpoint import load_checkpoint_file

from .recipe_options import parse_options

WHOLE = ("model.",)
ENCODER = ("model.encoder.",)
"""Beginnings of the settings that matter to a whole model, and to one that starts from the encoder alone."""

_START = "model.init_cfg"


def read_options(path: Path) -> list[str]:
    """Return the settings, as `key=value`, that a checkpoint was converted for; none for any other file.

    Args:
        path: checkpoint or work dir; a file that is not there has none, what reads its weights says so.
    """
    if path.suffix == ".safetensors" or not path.exists():
        return []
    return options_of(load_checkpoint_file(resolve_checkpoint(path)))


def options_of(checkpoint: Mapping[str, object]) -> list[str]:
    """Return the settings, as `key=value`, that a checkpoint was converted for; none of one that was not."""
    meta = checkpoint.get("meta")
    options = meta.get("options") if isinstance(meta, Mapping) else None
    if not isinstance(options, Sequence) or isinstance(options, str):
        return []
    return [option for option in options if isinstance(option, str) and "=" in option]


def lacking_options(config: Config, options: Sequence[str], beginnings: Sequence[str] = WHOLE) -> list[str]:
    """Return those of the settings `key=value` that a recipe does not have.

    Args:
        config: the recipe, with all changes of the command line.
        options: settings of a converted checkpoint.
        beginnings: only settings whose keys begin so count; where a training starts from never does.
    """
    return [option for option in _counting(options, beginnings) if not _has(config, option)]


def kept_options(config: Config, options: Sequence[str], beginnings: Sequence[str] = WHOLE) -> list[str]:
    """Return those of the settings that a recipe has, so that what it trains needs them too; see `lacking_options`."""
    return [option for option in _counting(options, beginnings) if _has(config, option)]


def tell_of_options(path: Path, options: Sequence[str], config: Config, beginnings: Sequence[str] = WHOLE) -> None:
    """Print a line where a recipe lacks settings that a checkpoint was converted for: its numbers would be others.

    Args:
        path: the checkpoint, for the line.
        options: its settings.
        config: the recipe, with all changes of the command line.
        beginnings: as in `lacking_options`.
    """
    lacking = lacking_options(config, options, beginnings)
    if lacking:
        print(
            f"warning: {path} holds weights that were converted for settings that this recipe does not have, so they "
            f"compute something else here; add --cfg-options {shlex.join(lacking)}",
            flush=True,
        )


def merged_options(camera: Sequence[str], lidar: Sequence[str], head: bool) -> list[str]:
    """Return the settings of a fusion model that is merged of two converted models.

    Args:
        camera: settings of the camera model.
        lidar: settings of the LiDAR model.
        head: whether the LiDAR model's head is merged as well.
    """
    merged = []
    for part, options in (("camera", camera), ("lidar", lidar)):
        merged += [
            f"model.encoder.{part}.{option.removeprefix(ENCODER[0])}"
            for option in options
            if option.startswith(ENCODER[0])
        ]
    # A fusion encoder refuses two placements, and what a LiDAR encoder computes depends on none.
    placement = next((option for option in merged if option.startswith("model.encoder.camera.grid.placement=")), None)
    if placement is not None:
        own = placement.replace(".camera.", ".lidar.", 1)
        merged += [own] if own not in merged else []
    return merged + ([option for option in lidar if option.startswith("model.head.")] if head else [])


def _counting(options: Sequence[str], beginnings: Sequence[str]) -> list[str]:
    """The settings whose keys begin so, but for where a training starts from."""
    return [o for o in options if o.startswith(tuple(beginnings)) and not re.match(rf"{re.escape(_START)}[.=]", o)]


def _has(config: Config, option: str) -> bool:
    key = option.partition("=")[0]
    return _plain(_value(config, key)) == _plain(parse_options([option])[key])


def _value(config: Config, key: str) -> object:
    """A value of a recipe by its key with dots; None where the recipe leaves it to a default."""
    part: object = config
    for name in key.split("."):
        if isinstance(part, list | tuple):
            part = part[int(name)] if name.isdigit() and int(name) < len(part) else None
        else:
            part = part.get(name) if isinstance(part, Mapping | Config) else None
    return part


def _plain(value: object) -> object:
    """Lists and tuples are told apart by no recipe."""
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
