"""Compare LiDAR segmentors on pre-trained encoders with segmentors on random ones.

python tools/segmentation_study.py --data-root DIR --out OUT --json FILE.json

Protocols are linear and decoder probes of frozen encoders and fine-tuning with shares of the labels. Every run is a
training of its own in OUT/runs or OUT/pretrain; of one seed, all starts have the same labelled frames, head and order.
Beside them stands a classifier of single points. All that a run needs is checked before the first one starts. A study
that was interrupted resumes when it is started again. Finished runs are not repeated; the study ends with an error when
their settings have changed. The tool prints a table and writes the rows as JSON and OUT/study.png.

Exit code: 0 done, 1 some run failed, 2 the study cannot be run.
"""

import argparse
import sys
from pathlib import Path

# Studies lie beside the package, not in it.
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ponderv2.command_line import run_tool, writable_file, writable_folder  # noqa: E402
from studies.study_arguments import add_segmentation_arguments as add_arguments  # noqa: E402
from synthetic_nuscenes.synthetic_errors import SyntheticDataError  # noqa: E402


def run(given: argparse.Namespace) -> int:
    """Run the study; returns the exit code."""
    writable_folder(given.out, "--out")
    if given.json is not None:
        writable_file(given.json, "--json")
    print("checking data, recipes and starts; nothing is trained before that is done", flush=True)
    from studies.segmentation_command import run_segmentation_study

    return run_segmentation_study(given, ROOT)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments, expected=(SyntheticDataError,))


if __name__ == "__main__":
    sys.exit(main())
