"""Check what works on a machine with a GPU: python tools/gpu_check.py [--json FILE] [--markdown FILE]."""

import argparse
import importlib
import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The check lies beside the package, not in it.
sys.path.insert(0, str(ROOT))
if importlib.util.find_spec("ponderv2") is None:
    # A bare machine with torch and a copy of the repository will do.
    sys.path.insert(0, str(ROOT / "projects" / "PonderV2"))

from benchmarks.gpu_check.levels import LEVELS  # noqa: E402
from benchmarks.gpu_check.parts import KINDS  # noqa: E402
from ponderv2.command_line import positive, run_tool, writable_file  # noqa: E402


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files of the result, and what is checked."""
    parser.add_argument("--json", type=Path, help="write the result there")
    parser.add_argument("--markdown", type=Path, help="write tables for docs/memory_and_speed.md there")
    parser.add_argument("--levels", nargs="+", choices=LEVELS, default=LEVELS, help="what may be needed beside torch")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="kinds of checks")
    parser.add_argument("--minutes", type=positive, default=10, help="the most that it may take")
    parser.add_argument("--device", help="the GPU that is checked; cpu compares the CPU with itself, for tests")


def run(given: argparse.Namespace) -> int:
    """Check the machine; returns the exit code."""
    for name in ("json", "markdown"):
        writable_file(getattr(given, name), f"--{name}")
    return importlib.import_module("benchmarks.gpu_check.check").run(given)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
