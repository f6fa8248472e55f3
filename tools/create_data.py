"""Make info files and a ground-truth database: python tools/create_data.py --root DIR --version v1.0-mini --out DIR.

An interrupted run goes on where it was when started again; finished outputs are left alone.
Exit code: 0 done, 2 the data set cannot be prepared.
"""

import argparse
import os
import sys
from pathlib import Path

from ponderv2.datasets.prepare import (
    InfoSettings,
    PreparationError,
    create_gt_database,
    create_info_files,
    open_tables,
)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder with v1.0-…/, samples/, sweeps/ and maps/")
    parser.add_argument("--version", required=True, help="v1.0-trainval, v1.0-mini or v1.0-test")
    parser.add_argument("--out", type=Path, help="folder of the info files; default: --root, where data sets look")
    parser.add_argument("--workers", type=int, default=min(8, os.cpu_count() or 1), help="default %(default)s")
    parser.add_argument("--lidar-sweeps", type=int, default=10, help="earlier LiDAR sweeps, at most (default 10)")
    parser.add_argument("--camera-sweeps", type=int, default=0, help="earlier images a camera, at most (default 0)")
    parser.add_argument("--no-paste-database", action="store_true", help="no ground-truth database; cameras need none")
    parser.add_argument("--image-crops", action="store_true", help="pictures in the ground-truth database, too")
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that were made from something else")
    return parser.parse_args(arguments)


def create(arguments: argparse.Namespace) -> list[Path]:
    """Make everything that the arguments ask for; returns the paths of the outputs."""
    out = arguments.out or arguments.root
    settings = InfoSettings(arguments.lidar_sweeps, arguments.camera_sweeps)
    tables = open_tables(arguments.root, arguments.version)
    files = create_info_files(tables, out, settings, arguments.workers, arguments.overwrite)
    outputs = list(files.values())
    if "train" in files and not arguments.no_paste_database:
        # The published database has the key frame and nine sweeps, as the detectors have.
        sweeps = min(arguments.lidar_sweeps, 9)
        outputs.append(
            create_gt_database(
                files["train"],
                arguments.root,
                out,
                sweeps,
                arguments.workers,
                arguments.overwrite,
                arguments.image_crops,
            )
        )
    return outputs


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    try:
        outputs = create(parse_arguments(arguments))
    except (PreparationError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(f"ready: {path}" for path in outputs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
