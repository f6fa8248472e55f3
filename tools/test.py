"""Evaluate a checkpoint with the recipe's test data and metrics: python tools/test.py CONFIG CHECKPOINT."""

import argparse
import sys
from pathlib import Path

from ponderv2.command_line import (
    add_launch_arguments,
    add_recipe_arguments,
    existing_path,
    run_tool,
    writable_folder,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this tool."""
    add_recipe_arguments(parser)
    parser.add_argument(
        "checkpoint",
        type=existing_path("checkpoint"),
        help="checkpoint, work_dir/last_checkpoint, or the work dir; of a baseline that is <config name>_scratch",
    )
    add_launch_arguments(parser, "scores and logs; default work_dirs/<config name>")
    parser.add_argument("--tta", action="store_true", help="test-time augmentation, of a recipe that has it")
    parser.add_argument(
        "--draw", type=Path, metavar="DIR", help="pictures of boxes, or of classes of points, in the first four frames"
    )


def run(given: argparse.Namespace) -> None:
    """Evaluate."""
    writable_folder(given.work_dir, "--work-dir")
    writable_folder(given.draw, "--draw")
    from ponderv2.engine import test

    test(given)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
