"""Write the key points of each sample to an npz file: python tools/export_keypoints.py CONFIG CHECKPOINT --out DIR.

DIR/TOKEN.npz has the key points of a sample of the recipe's test data. Baselines, as many under the same suppression:
DIR/random/TOKEN.npz has random returns, DIR/highest and DIR/nearest the candidates that are highest and nearest to the
car. docs/keypoints.md describes the files, and tools/score_keypoints.py scores them.

Exit code: 0 done, 2 the recipe has no key points, or the checkpoint is not of this recipe.
"""

import argparse
import sys
from pathlib import Path

from ponderv2.command_line import (
    add_device_argument,
    add_recipe_arguments,
    existing_path,
    positive,
    run_tool,
    writable_folder,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this tool."""
    add_recipe_arguments(parser)
    parser.add_argument(
        "checkpoint", type=existing_path("checkpoint"), help="checkpoint, work_dir/last_checkpoint, or the work dir"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the files")
    parser.add_argument(
        "--source",
        choices=["image", "lidar", "fusion"],
        default="lidar",
        help="of the volume (lidar), of the pictures (image), or of the volume with what pictures say (fusion)",
    )
    parser.add_argument("--samples", type=positive, help="only the first so many samples")
    add_device_argument(parser)


def run(given: argparse.Namespace) -> None:
    """Export the key points."""
    writable_folder(given.out, "--out")
    from ponderv2.engine.keypoint_export import export_keypoints

    samples, number = export_keypoints(given)
    print(f"{samples} samples with {number:.0f} key points on average, in {given.out}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
