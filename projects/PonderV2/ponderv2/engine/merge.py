"""A fusion model starts from a camera and a LiDAR encoder that were pre-trained apart."""

import argparse
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor, nn

from ponderv2.checkpoints import coverage_table, read_encoder_weights, shortcomings, weights_hash
from ponderv2.registry import MODELS

from .launch import load_config

PARTS = ("camera", "lidar")


def merge_encoders(camera: Path, lidar: Path) -> dict[str, Tensor]:
    """Read both encoders and put them under the names that they have in a model with a `FusionEncoder`.

    Args:
        camera: work dir, checkpoint or encoder file of the camera encoder.
        lidar: the same of the LiDAR encoder.

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


def parse_arguments(description: str) -> argparse.Namespace:
    """Read the command line of tools/merge_checkpoints.py."""
    parser = argparse.ArgumentParser(description=description)
    source = "work dir, checkpoint or encoder.safetensors of "
    parser.add_argument(
        "camera", type=Path, help=source + "the camera model: a detector, as published, or a pre-training"
    )
    parser.add_argument("lidar", type=Path, help=source + "the LiDAR, likewise")
    parser.add_argument(
        "out", type=Path, help="checkpoint to write, .pth; model.init_cfg.checkpoint of the fusion recipe"
    )
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
    """Merge the two encoders of the command line, print which weights fit, and write the checkpoint; return its path.

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
    """Print which weights of `model` are among `weights`, and write these, replacing `out` in one step.

    Raises:
        SystemExit: the weights do not cover both encoders but for `allow_missing`; nothing is written then.
    """
    prefixes = tuple(f"encoder.{part}." for part in PARTS)
    table, parts = coverage_table(model.state_dict(), weights, prefixes, "weights of the fusion model")
    Console().print(table)
    wrong = shortcomings(parts, allow_missing)
    if wrong:
        raise SystemExit("the weights are not of this recipe, nothing was written:\n  " + "\n  ".join(wrong))
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_suffix(out.suffix + ".part")
    torch.save({"meta": {"sha256": weights_hash(weights)}, "state_dict": weights}, part)
    part.replace(out)
