"""Fit a map of descriptors to the indices of drives that are not scored.

python tools/fit_retrieval_projection.py --lidar DIR --out FILE.safetensors
python tools/fit_retrieval_projection.py --lidar DIR --image DIR --out FILE.safetensors

The method "center" leaves out what all descriptors of a modality have in common, which differs between pictures and
LiDAR. "correlations" asks for both indices, of the same key frames, and keeps the directions in which the two vary
together (canonical correlations). tools/retrieve.py takes the file as --projection.

Exit code: 0 done, 2 the input cannot be used.
"""

import argparse
import sys
from pathlib import Path

from ponderv2.command_line import existing_folder, positive, positive_number, run_tool, writable_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this tool."""
    parser.add_argument("--lidar", type=existing_folder("index"), metavar="DIR", help="index by LiDAR")
    parser.add_argument("--image", type=existing_folder("index"), metavar="DIR", help="index by pictures")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.safetensors")
    parser.add_argument("--method", choices=("center", "correlations"), default="center", help="default %(default)s")
    parser.add_argument(
        "--channels", type=positive, default=64, help="correlations: length of projected descriptors, default 64"
    )
    parser.add_argument(
        "--ridge", type=positive_number, default=0.1, help="correlations: share of the mean variance, default 0.1"
    )


def run(given: argparse.Namespace) -> None:
    """Fit, and write the file."""
    writable_file(given.out, "--out")
    from ponderv2.engine.retrieval_command import fit_projection

    projection = fit_projection(given)
    print(f"projection of {' and '.join(sorted(projection.means))}: {given.out}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
