"""Make info files and a ground-truth database: python tools/create_data.py --root DIR --version v1.0-mini --out DIR.

An interrupted run goes on where it was when started again; finished outputs are left alone.
Exit code: 0 done, 2 the data set cannot be prepared.
"""

import argparse
import os
import sys
from pathlib import Path

from ponderv2.command_line import existing_folder, non_negative, positive, run_tool, writable_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this tool."""
    parser.add_argument(
        "--root",
        type=existing_folder("folder"),
        required=True,
        help="folder with v1.0-…/, samples/, sweeps/ and maps/",
    )
    parser.add_argument("--version", required=True, help="v1.0-trainval, v1.0-mini or v1.0-test")
    parser.add_argument("--out", type=Path, help="folder of the info files; default: --root, where data sets look")
    parser.add_argument("--workers", type=positive, default=min(8, os.cpu_count() or 1), help="default %(default)s")
    parser.add_argument(
        "--lidar-sweeps", type=non_negative, default=10, help="earlier LiDAR sweeps, at most (default 10)"
    )
    parser.add_argument(
        "--camera-sweeps", type=non_negative, default=0, help="earlier images a camera, at most (default 0)"
    )
    parser.add_argument("--no-paste-database", action="store_true", help="no ground-truth database; cameras need none")
    parser.add_argument("--image-crops", action="store_true", help="pictures in the ground-truth database, too")
    parser.add_argument("--overwrite", action="store_true", help="make everything anew and replace what is there")


def run(given: argparse.Namespace) -> None:
    """Make everything that the arguments ask for, and print the paths of the outputs."""
    writable_folder(given.out or given.root, "--out" if given.out else "--root")
    from ponderv2.datasets.prepare import prepare_nuscenes

    outputs = prepare_nuscenes(
        given.root,
        given.version,
        given.out or given.root,
        lidar_sweeps=given.lidar_sweeps,
        camera_sweeps=given.camera_sweeps,
        workers=given.workers,
        overwrite=given.overwrite,
        gt_database=not given.no_paste_database,
        image_crops=given.image_crops,
    )
    print("\n".join(f"ready: {path}" for path in outputs))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
