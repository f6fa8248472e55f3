"""Score exported key points over neighboring key frames: python tools/score_keypoints.py CONFIG DIR --data-root DATA.

DIR is the folder of tools/export_keypoints.py. For each pair of neighboring key frames, in both directions, it counts
which of the static key points that the other frame could have it has within 0.5 m (repeatability), and how many
descriptors that are nearest to each other are of one place (matching accuracy). Beside them stands what random returns
reach.

Exit code: 0 done, 2 the input cannot be used.
"""

import argparse
import json
import sys
from pathlib import Path

from ponderv2.command_line import add_recipe_arguments, existing_folder, run_tool, writable_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this tool."""
    add_recipe_arguments(parser)
    parser.add_argument("keypoints", type=existing_folder("folder of key points"), help="folder of export_keypoints.py")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file for the scores")


def run(given: argparse.Namespace) -> None:
    """Score the key points, and print a table."""
    writable_file(given.json, "--json")
    from ponderv2.atomic_files import write_atomically
    from ponderv2.engine.keypoint_scoring import score_keypoints

    scores = score_keypoints(given)
    names = ("repeatability", "seen", "matching_accuracy", "matching_score", "points")
    print(f"{scores['pairs']} pairs of neighboring key frames, source {scores['source']}, within {scores['radius']} m")
    print(f"{'':>18} {'key points':>12} {'random':>12}")
    for name in names:
        print(f"{name:>18} {scores['keypoints'][name]:12.4g} {scores['random'][name]:12.4g}")
    if given.json is not None:
        write_atomically(given.json, (json.dumps(scores, indent=2) + "\n").encode())


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
