"""A fusion model starts from a camera and a LiDAR model that were trained apart: both encoders, and one head."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from torch import Tensor, nn

from ponderv2.checkpoints import (
    coverage_table,
    encoder_weights_of,
    head_weights_of,
    read_encoder,
    resolve_checkpoint,
    shortcomings,
    write_checkpoint,
)
from ponderv2.compat.safe_checkpoint import load_checkpoint_file
from ponderv2.errors import UserError
from ponderv2.models import VolumeDetector
from ponderv2.registry import MODELS

from .converted_options import merged_options, options_of
from .launch import load_config
from .recipe_errors import recipe_errors

PARTS = ("camera", "lidar")


@dataclass(frozen=True)
class Source:
    """One of the two models, read once.

    Attributes:
        path: the file, for messages.
        checkpoint: content of it, but for the state of an optimizer.
    """

    path: Path
    checkpoint: dict

    @staticmethod
    def read(path: Path) -> "Source":
        """Read a work dir, a checkpoint or an encoder file; of the last the weights get the names of a checkpoint's."""
        if path.suffix == ".safetensors":
            return Source(path, {"state_dict": {f"encoder.{k}": v for k, v in read_encoder(path)[0].items()}})
        path = resolve_checkpoint(path)
        checkpoint = load_checkpoint_file(path)
        # The state of an optimizer is larger than the weights, and is not merged.
        return Source(path, {key: value for key, value in checkpoint.items() if key != "optimizer"})


def merge_encoders(camera: Source, lidar: Source) -> dict[str, Tensor]:
    """Put both encoders under the names that they have in a model with a `FusionEncoder`.

    Raises:
        UserError: one of the two has no encoder, or a fusion encoder already.
    """
    merged = {}
    for part, source in zip(PARTS, (camera, lidar), strict=True):
        weights = encoder_weights_of(source.checkpoint, source.path)
        fused = [k for k in weights if k.startswith(("camera.", "lidar.", "fuse."))]
        if fused:
            raise UserError(f"{source.path}: expected a {part} encoder, found a fusion encoder with {fused[0]}")
        merged |= {f"encoder.{part}.{name}": value for name, value in weights.items()}
    return merged


def merge(
    camera: Path, lidar: Path, out: Path, recipe: Path, allow_missing: Sequence[str] = (), head: bool = True
) -> None:
    """Merge two models, print which weights fit, and write the checkpoint that a fusion model starts from.

    A fusion detector also starts with the head of the LiDAR detector, as the published ones do: their authors put the
    LiDAR detector's weights over the camera detector's (UniPAD#19), and both have a head of the same names.

    Args:
        camera: work dir, checkpoint or encoder file of the camera model.
        lidar: the same of the LiDAR model; with `head` a detector's work dir or checkpoint.
        out: checkpoint to write, `.pth`.
        recipe: recipe of the fusion model.
        allow_missing: names in the fusion model, or beginnings of them, that may start new.
        head: whether a fusion detector's head comes from the LiDAR detector; without it the head starts new.

    Raises:
        UserError: the recipe has no `FusionEncoder`, the LiDAR model has no head, or the weights do not cover both
            encoders and the head; nothing is written then.
    """
    config = load_config(recipe)
    encoder = config.model.get("encoder", {})
    if not set(PARTS) <= set(encoder):
        raise UserError(f"--config {recipe}: expected a model with an encoder of camera and lidar")
    sources = Source.read(camera), Source.read(lidar)
    weights = merge_encoders(*sources)
    with recipe_errors(recipe, "cannot be built"):
        model = MODELS.build(config.model)
    head = head and isinstance(model, VolumeDetector)
    if head:
        weights |= _head_of(sources[1])
    options = merged_options(*(options_of(source.checkpoint) for source in sources), head)
    write_merged(model, weights, out, tuple(allow_missing), options)


def _head_of(lidar: Source) -> dict[str, Tensor]:
    try:
        return {f"head.{name}": value for name, value in head_weights_of(lidar.checkpoint, lidar.path).items()}
    except UserError as error:
        raise UserError(f"{error}; --no-head starts the fusion model's head new") from error


def write_merged(
    model: nn.Module,
    weights: dict[str, Tensor],
    out: Path,
    allow_missing: tuple[str, ...] = (),
    options: Sequence[str] = (),
) -> None:
    """Print which weights of `model` are among `weights`, and write these, replacing `out` in one step.

    With them stand `options`, settings that converted weights need of a recipe.

    Raises:
        UserError: the weights do not cover both encoders but for `allow_missing`, or have another head than the model;
            nothing is written then.
    """
    prefixes = tuple(f"encoder.{part}." for part in PARTS)
    if any(name.startswith("head.") for name in weights):
        prefixes += ("head.",)
    table, parts = coverage_table(model.state_dict(), weights, prefixes, "weights of the fusion model")
    Console().print(table)
    wrong = shortcomings(parts, allow_missing)
    if wrong:
        raise UserError("the weights are not of this recipe, nothing was written: " + "; ".join(wrong))
    write_checkpoint(out, weights, {"options": list(options)} if options else {})
