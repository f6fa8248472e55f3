"""Compare velocities that detectors predict: python tools/velocity_errors.py A.json B.json --data-root DIR.

A.json and B.json are submissions, `results_nusc.json` in the folder that `val_evaluator.submission_dir` names. For the
true boxes of a class that all models found within 2 m it prints the mean error of the velocity, of each model and of
saying that everything stands still.

Exit code: 0 done, 2 the input cannot be used.
"""

import argparse
import sys
from pathlib import Path

# Studies lie beside the package, not in it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ponderv2.command_line import run_tool, writable_file
from studies.arguments import add_velocity_arguments as add_arguments


def run(given: argparse.Namespace) -> None:
    """Compare the submissions."""
    writable_file(given.json, "--json")
    from studies.velocity_errors import run_velocity_errors

    run_velocity_errors(given)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
