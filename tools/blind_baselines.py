"""Score what is reached on a data set with little or no looking, beside a detector that is trained on all labels.

python tools/blind_baselines.py --data-root DIR --out OUT --json FILE.json

Parts, each of which --only runs alone: boxes that are the same in every frame (constant), a classifier of single points
by height, range and intensity (points_alone), a head on a frozen random encoder (random_frozen), and everything trained
(all_labels), with images and with LiDAR. Scores are the official devkit's. FILE keeps the parts of earlier runs on the
same data; OUT keeps the trainings, so that the same command goes on where it was interrupted.

Exit code: 0 done, 1 some training failed, 2 the baselines cannot be run.
"""

import argparse
import sys
from pathlib import Path

# Studies lie beside the package, not in it.
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ponderv2.command_line import run_tool, writable_file, writable_folder  # noqa: E402
from studies.arguments import add_baseline_arguments as add_arguments  # noqa: E402
from synthetic_nuscenes.synthetic_errors import SyntheticDataError  # noqa: E402


def run(given: argparse.Namespace) -> int:
    """Run the baselines; returns the exit code."""
    writable_folder(given.out, "--out")
    writable_file(given.json, "--json")
    from studies.blind_baselines import run_baselines

    return run_baselines(given, ROOT)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments, expected=(SyntheticDataError,))


if __name__ == "__main__":
    sys.exit(main())
