"""Score exported key points over neighboring key frames: python tools/score_keypoints.py CONFIG DIR --data-root DATA.

DIR is the folder of tools/export_keypoints.py. For each pair of neighboring key frames, in both directions, it counts
which of the static key points that the other frame could have it has within 0.5 m (repeatability; repeatability_of_all
is of all static ones), and how many descriptors that are nearest to each other are of one place (matching accuracy).
Beside them stands what needs no network: random returns, and the candidates that are highest or nearest to the car.
Pairs between which the car stands are told apart: there anything repeats.

Exit code: 0 done, 2 the input cannot be used.
"""

import argparse
import json
import sys
from pathlib import Path

from ponderv2.command_line import add_recipe_arguments, existing_folder, run_tool, writable_file

SHOWN = ("repeatability", "repeatability_of_all", "seen", "matching_accuracy", "matching_score", "points")
"""Rows of the table, of all pairs."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this tool."""
    add_recipe_arguments(parser)
    parser.add_argument("keypoints", type=existing_folder("folder of key points"), help="folder of export_keypoints.py")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file for the scores")


def table(scores: dict) -> list[str]:
    """Return the lines of the table of what `score_keypoints` returned."""
    columns = [name for name, value in scores.items() if isinstance(value, dict)]
    rows = {name: [scores[column][name] for column in columns] for name in SHOWN}
    for part in ("moving", "standing"):
        for name in SHOWN[:2]:
            rows[f"{name}, {part}"] = [scores[column][part][name] for column in columns]
    lines = [
        f"{scores['pairs']} pairs of neighboring key frames, in {scores['standing_pairs']} of them the car stands "
        f"(< {scores['standing']} m); source {scores['source']}, within {scores['radius']} m",
        f"{'':>31}" + "".join(f" {column:>10}" for column in columns),
    ]
    for name, values in rows.items():
        lines.append(f"{name:>31}" + "".join(f" {'-':>10}" if v is None else f" {v:10.4g}" for v in values))
    return lines


def run(given: argparse.Namespace) -> None:
    """Score the key points, and print a table."""
    writable_file(given.json, "--json")
    from ponderv2.atomic_files import write_atomically
    from ponderv2.engine.keypoint_scoring import score_keypoints

    scores = score_keypoints(given)
    print("\n".join(table(scores)))
    if given.json is not None:
        write_atomically(given.json, (json.dumps(scores, indent=2, allow_nan=False) + "\n").encode())


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
