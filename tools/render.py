"""Draw what a pre-trained model renders, beside the real thing: python tools/render.py CONFIG CHECKPOINT --out DIR."""

import argparse
import sys
from pathlib import Path

from ponderv2.command_line import (
    add_device_argument,
    add_recipe_arguments,
    existing_path,
    positive,
    positive_number,
    run_tool,
    writable_folder,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this tool."""
    add_recipe_arguments(parser)
    parser.add_argument(
        "checkpoint", type=existing_path("checkpoint"), help="checkpoint, work_dir/last_checkpoint, or the work dir"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for PNG panels and metrics.json")
    parser.add_argument("--stride", type=positive, default=2, help="pixels between rendered rays of the pictures")
    parser.add_argument("--mesh", action="store_true", help="also write the surface of each sample as mesh_*.ply")
    parser.add_argument(
        "--mesh-step", type=positive_number, default=0.25, help="metres between the corners of its grid"
    )
    parser.add_argument("--samples", type=positive, help="only the first so many samples")
    add_device_argument(parser)


def run(given: argparse.Namespace) -> None:
    """Render, and print the metrics and what they mean."""
    writable_folder(given.out, "--out")
    from ponderv2.engine.render_dataset import describe, render

    metrics = render(given)
    for name, value in metrics.items():
        print(f"{name:>14} {value:.4g}")
    print(describe(metrics))
    print(f"pictures and metrics.json in {given.out}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
