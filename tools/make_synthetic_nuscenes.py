"""Make a synthetic data set in nuScenes' format: python tools/make_synthetic_nuscenes.py --out DIR.

An interrupted run goes on where it was when started again; a finished data set is left alone. --benchmark makes a data
set with a name and compares its bytes with the hashes stored for it; files that differ are a warning, and a failure
of --check, which makes nothing.
Exit code: 0 done, 1 --check found files that differ, 2 the data set cannot be made.
"""

import argparse
import sys

from ponderv2.command_line import run_tool, writable_file, writable_folder
from synthetic_nuscenes.command import add_arguments, make
from synthetic_nuscenes.synthetic_errors import SyntheticDataError


def run(given: argparse.Namespace) -> int:
    """Make or check the data set; returns the exit code."""
    if not given.check:
        writable_folder(given.out.parent, "--out")
    for path, option in ((given.preview, "--preview"), (given.report, "--report"), (given.hashes, "--hashes")):
        writable_file(path, option)
    return make(given)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments, expected=(SyntheticDataError,))


if __name__ == "__main__":
    sys.exit(main())
