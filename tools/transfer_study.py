"""Compare detectors and segmentors that start from pre-trained encoders with baselines from scratch.

python tools/transfer_study.py --data-root DIR --out OUT --fractions 0.1 --seeds 0 1 2 --pretrain-seeds 0 1

Every run is a training of its own in OUT/runs or OUT/pretrain; every fine-tuning seed is paired with every pre-training
seed. Beside both sides stand a model whose encoder stays frozen as the baseline's starts, and a constant predictor. All
that a run needs is checked before the first one starts. A study that was interrupted resumes when it is started again.
Finished runs are not repeated; the study ends with an error when their settings have changed. The tool prints a table,
and writes the rows as JSON, OUT/study.png, and OUT/lengths.png where pre-trainings differ in their length.

Exit code: 0 done, 1 some run failed, 2 the study cannot be run.
"""

import argparse
import sys
from pathlib import Path

# Studies lie beside the package, not in it.
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ponderv2.command_line import run_tool, writable_file, writable_folder  # noqa: E402
from studies.study_arguments import add_study_arguments as add_arguments  # noqa: E402
from synthetic_nuscenes.synthetic_errors import SyntheticDataError  # noqa: E402


def run(given: argparse.Namespace) -> int:
    """Run the study; returns the exit code."""
    writable_folder(given.out, "--out")
    if given.json is not None:
        writable_file(given.json, "--json")
    print("checking data, recipes and starts; nothing is trained before that is done", flush=True)
    from studies.transfer_command import run_study

    return run_study(given, ROOT)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments, expected=(SyntheticDataError,))


if __name__ == "__main__":
    sys.exit(main())
