"""Train a recipe: python tools/train.py configs/tiny/ponderv2_camera_synthetic.py --data-root DIR."""

import argparse
import sys

from ponderv2.command_line import (
    add_launch_arguments,
    add_recipe_arguments,
    add_scratch_argument,
    run_tool,
    writable_folder,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this tool."""
    add_recipe_arguments(parser)
    add_launch_arguments(parser)
    add_scratch_argument(parser)
    parser.add_argument(
        "--amp",
        action="store_true",
        help="half precision also where the recipe says float32 or the card has no bfloat16",
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="CHECKPOINT",
        help="go on from a checkpoint; without a name from the last one in the work dir, which has to be there",
    )


def run(given: argparse.Namespace) -> None:
    """Train."""
    writable_folder(given.work_dir, "--work-dir")
    from ponderv2.engine import train

    train(given)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
