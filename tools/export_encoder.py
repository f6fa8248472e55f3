"""Export the encoder of a checkpoint: python tools/export_encoder.py RECIPE CHECKPOINT [--out FILE].

A pre-training does that by itself when it ends. This is for one that was interrupted, for an earlier epoch, and for the
encoder of a detector. Give the --cfg-options of the training that change its model.

Exit code: 0 done, 2 the checkpoint is not of this recipe.
"""

import argparse
import sys
from pathlib import Path

from ponderv2.command_line import add_recipe_arguments, existing_path, run_tool, writable_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this tool."""
    add_recipe_arguments(parser)
    parser.add_argument(
        "checkpoint", type=existing_path("checkpoint"), help="checkpoint, work_dir/last_checkpoint, or the work dir"
    )
    parser.add_argument(
        "--out", type=Path, help="file to write, .safetensors; default: encoder.safetensors beside the checkpoint"
    )


def run(given: argparse.Namespace) -> None:
    """Export the encoder."""
    writable_file(given.out, "--out")
    from ponderv2.engine.exporting import export_checkpoint

    print(f"written to {export_checkpoint(given.config, given.checkpoint, given.out, given.cfg_options)}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
