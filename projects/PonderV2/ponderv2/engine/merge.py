"""A fusion model's start from a camera and a LiDAR encoder that were pre-trained apart."""

import argparse
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from ponderv2.compat.checkpoint import load_checkpoint_file
from ponderv2.registry import MODELS

from .checkpoints import Coverage, compare, resolve_checkpoint
from .export import read_encoder, weights_hash
from .launch import load_config

PARTS = ("camera", "lidar")


def read_encoder_weights(path: Path) -> dict[str, Tensor]:
    """Weights of the encoder alone, without a prefix, of an exported encoder or of a checkpoint with an encoder.

    Args:
        path: `.safetensors` file of `export_encoder`, or a checkpoint or work dir of training.

    Raises:
        FileNotFoundError, ValueError: the file is missing or damaged, or holds no encoder.
    """
    if path.suffix == ".safetensors":
        return read_encoder(path)[0]
    path = resolve_checkpoint(path)
    checkpoint = load_checkpoint_file(path)
    if not isinstance(checkpoint.get("state_dict"), dict):
        raise ValueError(f"{path}: expected a checkpoint with the key 'state_dict', found {sorted(checkpoint)}")
    weights = {k.removeprefix("encoder."): v for k, v in checkpoint["state_dict"].items() if k.startswith("encoder.")}
    if not weights:
        first = next(iter(checkpoint["state_dict"]), None)
        raise ValueError(f"{path}: no key of its state_dict starts with 'encoder.', the first is {first}")
    return weights


def merge_encoders(camera: Path, lidar: Path) -> dict[str, Tensor]:
    """Both encoders under the names they have in a model with a `FusionEncoder`.

    Raises:
        ValueError: one of the files holds a fusion encoder already.
    """
    merged = {}
    for part, path in zip(PARTS, (camera, lidar), strict=True):
        weights = read_encoder_weights(path)
        fused = [k for k in weights if k.startswith(("camera.", "lidar.", "fuse."))]
        if fused:
            raise ValueError(f"{path}: expected a {part} encoder, found a fusion encoder with {fused[0]}")
        merged |= {f"encoder.{part}.{name}": value for name, value in weights.items()}
    return merged


def coverage_table(own: dict[str, Tensor], weights: dict[str, Tensor]) -> tuple[Table, dict[str, Coverage]]:
    """Coverage of the parts of a fusion model, as a table and as values by prefix; the rest of the model last."""
    prefixes = [f"encoder.{part}." for part in PARTS]
    table = Table("part", "matched", "missing", "unexpected", "shape", title="weights of the fusion model")
    parts = {}
    for prefix in [*prefixes, ""]:

        def chosen(names: dict[str, Tensor], prefix: str = prefix) -> dict[str, Tensor]:
            if prefix:
                return {k: v for k, v in names.items() if k.startswith(prefix)}
            return {k: v for k, v in names.items() if not k.startswith(tuple(prefixes))}

        parts[prefix] = compare(chosen(own), chosen(weights))
        counts = [str(len(keys)) for keys in vars(parts[prefix]).values()]
        table.add_row(prefix.rstrip(".") or "the rest (starts new)", *counts)
    return table, parts


def problems(parts: dict[str, Coverage], allow_missing: tuple[str, ...] = ()) -> list[str]:
    """What is wrong with the merged weights, in words; prefixes in `allow_missing` may be missing."""
    found = []
    for prefix, coverage in parts.items():
        if not prefix:
            continue
        missing = (
            [k for k in coverage.missing if not k.startswith(allow_missing)] if allow_missing else coverage.missing
        )
        for name, keys in (
            ("missing", missing),
            ("unexpected", coverage.unexpected),
            ("of another shape", coverage.shape),
        ):
            if keys:
                found.append(f"{prefix.rstrip('.')}: {len(keys)} {name}, the first {keys[0]}")
    return found


def parse_arguments(description: str) -> argparse.Namespace:
    """Arguments of tools/merge_checkpoints.py."""
    parser = argparse.ArgumentParser(description=description)
    source = "work dir, checkpoint or encoder.safetensors of "
    parser.add_argument("camera", type=Path, help=source + "camera pre-training")
    parser.add_argument("lidar", type=Path, help=source + "LiDAR pre-training")
    parser.add_argument("out", type=Path, help="checkpoint to write, .pth; for load_from of the fusion recipe")
    parser.add_argument("--config", type=Path, required=True, help="recipe of the fusion model to start")
    parser.add_argument(
        "--allow-missing",
        nargs="+",
        default=[],
        metavar="PREFIX",
        help="parts of the fusion model that start new although they belong to an encoder, as encoder.lidar.convs",
    )
    return parser.parse_args()


def merge(args: argparse.Namespace) -> Path:
    """Merge, print the coverage, and write the checkpoint.

    Raises:
        SystemExit: the recipe has no `FusionEncoder`, or the weights do not cover both of its encoders; nothing is
            written then.
    """
    config = load_config(args.config)
    encoder = config.model.get("encoder", {})
    if not set(PARTS) <= set(encoder):
        raise SystemExit(f"--config {args.config}: expected a model with an encoder of camera and lidar")
    # The image backbone's own start would be downloaded, only to be replaced.
    encoder.camera.img_backbone.weights = None
    model = MODELS.build(config.model)
    weights = merge_encoders(args.camera, args.lidar)
    write_merged(model, weights, args.out, tuple(args.allow_missing))
    return args.out


def write_merged(model: nn.Module, weights: dict[str, Tensor], out: Path, allow_missing: tuple[str, ...] = ()) -> None:
    """Print the coverage of `model` by `weights` and write them, replacing `out` in one step.

    Raises:
        SystemExit: see `merge`.
    """
    table, parts = coverage_table(model.state_dict(), weights)
    Console().print(table)
    wrong = problems(parts, allow_missing)
    if wrong:
        raise SystemExit("the weights are not of this recipe, nothing was written:\n  " + "\n  ".join(wrong))
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_suffix(out.suffix + ".part")
    torch.save({"meta": {"sha256": weights_hash(weights)}, "state_dict": weights}, part)
    part.replace(out)
