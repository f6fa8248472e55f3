"""Make a synthetic data set in nuScenes' format: python tools/make_synthetic_nuscenes.py --out DIR.

An interrupted run goes on where it was when started again; a finished data set is left alone.
Exit code: 0 done, 2 the data set cannot be made.
"""

import argparse
import sys

from ponderv2.command_line import run_tool, writable_file, writable_folder
from synthetic_nuscenes.command import add_arguments, make
from synthetic_nuscenes.synthetic_errors import SyntheticDataError


def run(given: argparse.Namespace) -> None:
    """Make the data set."""
    writable_folder(given.out.parent, "--out")
    writable_file(given.preview, "--preview")
    make(given)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments, expected=(SyntheticDataError,))


if __name__ == "__main__":
    sys.exit(main())
