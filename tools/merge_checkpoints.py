"""Start a fusion model from two models: python tools/merge_checkpoints.py CAMERA LIDAR OUT --config RECIPE.

Both encoders are taken, and for a fusion detector the head of the LiDAR detector, as published.

Exit code: 0 done, 2 the two do not make the fusion model.
"""

import argparse
import sys
from pathlib import Path

from ponderv2.command_line import existing_file, existing_path, run_tool, writable_checkpoint


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this tool."""
    source = "work dir, checkpoint or encoder.safetensors of "
    weights = existing_path("checkpoint")
    parser.add_argument(
        "camera", type=weights, help=source + "the camera model: a detector, as published, or a pre-training"
    )
    parser.add_argument("lidar", type=weights, help=source + "the LiDAR, likewise")
    parser.add_argument(
        "out", type=Path, help="checkpoint to write, .pth; model.init_cfg.checkpoint of the fusion recipe"
    )
    parser.add_argument(
        "--config", type=existing_file("recipe"), required=True, help="recipe of the fusion model to start"
    )
    parser.add_argument(
        "--allow-missing",
        nargs="+",
        default=[],
        metavar="PREFIX",
        help="parts of the fusion model that start new although they belong to an encoder, as encoder.lidar.convs",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT where it is there already")
    parser.add_argument(
        "--no-head",
        action="store_true",
        help="leave out the head of the LiDAR detector; then train with --cfg-options model.init_cfg.head=False",
    )


def run(given: argparse.Namespace) -> None:
    """Merge the models."""
    from ponderv2.checkpoints import resolve_checkpoint

    inputs = [resolve_checkpoint(given.camera), resolve_checkpoint(given.lidar)]
    writable_checkpoint(given.out, "OUT", inputs, given.overwrite)
    from ponderv2.engine.merge import merge

    merge(given.camera, given.lidar, given.out, given.config, given.allow_missing, head=not given.no_head)
    print(f"written to {given.out}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
