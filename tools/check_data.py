"""Check the conventions of an info file against its data: python tools/check_data.py INFOS [--root DIR].

Exit code: 0 nothing fails, 1 some check fails, 2 the input cannot be used.
"""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from ponderv2.datasets.verify import UnusableInput, check_info_file, exit_code, print_findings


def main(arguments: list[str] | None = None) -> int:
    """Print the report; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("infos", type=Path, help="info file, .pkl or .json")
    parser.add_argument("--root", type=Path, help="folder with samples/ and sweeps/; default: that of the info file")
    parser.add_argument("--frames", type=int, default=20, help="key frames to look at, at most (default %(default)s)")
    given = parser.parse_args(arguments)
    try:
        findings = check_info_file(given.infos, given.root, given.frames)
    except UnusableInput as error:
        print(error, file=sys.stderr)
        return 2
    # A pipe or a file has no width; the table needs some.
    print_findings(findings, Console(width=None if sys.stdout.isatty() else 150))
    return exit_code(findings)


if __name__ == "__main__":
    sys.exit(main())
