"""Estimate what a training step of a recipe costs: parameters, FLOPs and memory by part, and the least time on a card.

The step is taken on this machine's CPU with a random batch: seconds for a tiny recipe, minutes for a full-size one.
The time on a card is a lower bound: products of matrices at the card's published peak rate, or the traffic of its
memory. --measure compares the count with steps that are timed on this CPU.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Benchmarks lie beside the package, not in it.
sys.path.insert(0, str(ROOT))

from benchmarks.cards import CARDS  # noqa: E402
from ponderv2.command_line import run_tool, writable_file  # noqa: E402
from ponderv2.command_line.values import existing_file, non_negative, positive  # noqa: E402


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("config", type=existing_file("recipe"), help="recipe")
    parser.add_argument("--card", nargs="+", choices=sorted(CARDS), default=["a100-80gb"], help="cards to estimate for")
    parser.add_argument(
        "--image-size",
        nargs=2,
        type=positive,
        default=[900, 1600],
        metavar=("HEIGHT", "WIDTH"),
        help="pixels of the image files, which the recipe may resize; 900 1600, those of nuScenes",
    )
    parser.add_argument(
        "--frames", type=positive, metavar="N", help="key frames of an epoch; those of nuScenes that the recipe takes"
    )
    parser.add_argument("--measure", type=non_negative, default=0, metavar="N", help="time N steps on this CPU")
    parser.add_argument(
        "--recompute", nargs="+", default=[], metavar="MODULE", help="modules of a RecomputeHook, such as head.renderer"
    )
    parser.add_argument("--json", type=Path, help="write the result there as well")
    parser.add_argument("--cfg-options", nargs="+", default=[], metavar="KEY=VALUE", help="changes to the recipe")


def run(given: argparse.Namespace) -> None:
    """Count, print the tables and write the result."""
    writable_file(given.json, "--json")
    from benchmarks.cost_estimate import estimate_step
    from benchmarks.cost_report import cost_lines, cost_record
    from ponderv2.engine import parse_options

    options = parse_options(given.cfg_options)
    cost, config = estimate_step(given.config, options, tuple(given.image_size), given.measure, given.recompute)
    cards = [CARDS[name] for name in given.card]
    print(*cost_lines(cost, config, cards, given.frames), sep="\n")
    if given.json is not None:
        given.json.write_text(json.dumps(cost_record(cost, config, cards, given.frames), indent=1) + "\n")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
