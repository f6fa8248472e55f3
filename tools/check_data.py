"""Check the conventions of an info file against its data: python tools/check_data.py INFOS [--root DIR].

Exit code: 0 nothing fails, 1 some check fails, 2 the input cannot be used.
"""

import argparse
import sys
from pathlib import Path

from ponderv2.command_line import existing_folder, positive, run_tool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this tool."""
    parser.add_argument("infos", type=Path, help="info file, .pkl or .json")
    parser.add_argument(
        "--root",
        type=existing_folder("folder"),
        help="folder with samples/ and sweeps/; default: that of the info file",
    )
    parser.add_argument("--frames", type=positive, default=20, help="key frames to look at, at most (default 20)")


def run(given: argparse.Namespace) -> int:
    """Print the report; returns the exit code."""
    from rich.console import Console

    from ponderv2.datasets.verify import check_info_file, exit_code, print_findings

    findings = check_info_file(given.infos, given.root, given.frames)
    # A pipe or a file has no width; the table needs some.
    print_findings(findings, Console(width=None if sys.stdout.isatty() else 150))
    return exit_code(findings)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
