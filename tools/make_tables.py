"""Write the tables and pictures of docs/ that show docs/results/*.json: python tools/make_tables.py [--check].

A table NAME stands in a page between the lines <!-- table: NAME --> and <!-- end -->, and shows docs/results/NAME.json;
its picture, where it has one, is docs/images/NAME.png. Without a file the block says that nothing was run. A table of
tools/transfer_study.py also has the rows of docs/results/NAME-*.json: studies of other models or other shares of the
labels, with the same seeds and the same data, or the same named benchmark.

Exit code: 0 done, 1 with --check where a page or a picture is not up to date, 2 a file cannot be used.
"""

import argparse
import sys
from pathlib import Path

# Studies lie beside the package, not in it.
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ponderv2.command_line import existing_folder, run_tool  # noqa: E402


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this tool."""
    parser.add_argument(
        "--docs", type=existing_folder("folder"), default=ROOT / "docs", help="folder of the pages (default docs)"
    )
    parser.add_argument("--check", action="store_true", help="write nothing, and tell what is not up to date")


def run(given: argparse.Namespace) -> int:
    """Write or check the tables; returns the exit code."""
    from studies.result_tables import make_tables

    changed = make_tables(given.docs, given.check)
    for path in changed:
        print(f"{path}: {'not up to date; run tools/make_tables.py' if given.check else 'written'}")
    return 1 if changed and given.check else 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
