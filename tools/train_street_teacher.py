"""Train the street teacher: a small image network that stands in for a foundation model where none can be had.

python tools/train_street_teacher.py --out work_dirs/street_teacher.safetensors

It segments synthetic pictures whose pixels the ray caster labels, of towns that no benchmark here has. What is
distilled from it is knowledge from labels of synthetic towns, and has to be called so. The tool takes the pictures
first (15 seconds a town on a CPU core), keeps them in --pictures, trains for --minutes and prints IoUs of pixels in
other towns. More towns help more than more minutes. SIGTERM or Ctrl-C ends the training early: what there is is scored
and written. With --backbone it trains the image backbone of that recipe, and --out is a file for its option `weights`:
a stand-in for weights of ImageNet.

Exit code: 0 done, 2 the input cannot be used.
"""

import argparse
import sys
from pathlib import Path

# Studies lie beside the package, not in it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ponderv2.command_line import run_tool, writable_file, writable_folder
from ponderv2.command_line.values import positive, positive_number
from synthetic_nuscenes.synthetic_errors import SyntheticDataError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the tool."""
    parser.add_argument("--out", type=Path, required=True, help="file of the teacher, .safetensors")
    parser.add_argument(
        "--pictures",
        type=Path,
        default=Path("data/street_pictures"),
        help="folder of the pictures (default %(default)s)",
    )
    parser.add_argument("--backbone", type=Path, metavar="RECIPE", help="train the image backbone of this recipe")
    parser.add_argument("--towns", type=positive, default=18, help="towns to train on (default %(default)s)")
    parser.add_argument("--held-out", type=positive, default=5, help="towns to score on (default %(default)s)")
    parser.add_argument("--seed", type=positive, default=1000, help="seed of the towns, the others have 1000 more")
    parser.add_argument(
        "--minutes", type=positive_number, default=10, help="processor time of the training (default %(default)s)"
    )


def run(given: argparse.Namespace) -> int:
    """Train; returns the exit code."""
    writable_file(given.out, "--out")
    writable_folder(given.pictures, "--pictures")
    from studies.street_teacher import train_street_teacher

    return train_street_teacher(given)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments, expected=(SyntheticDataError,))


if __name__ == "__main__":
    sys.exit(main())
