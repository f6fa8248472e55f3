"""Measure one thing against another: python tools/benchmark.py {render,lidar,lift,step,busy,loading,infos}."""

import argparse
import importlib
import importlib.util
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Benchmarks lie beside the package, not in it.
sys.path.insert(0, str(ROOT))
if importlib.util.find_spec("ponderv2") is None:
    # A bare machine with torch and a copy of the repository will do.
    sys.path.insert(0, str(ROOT / "projects" / "PonderV2"))

from benchmarks import arguments as benchmark_arguments  # noqa: E402
from ponderv2.command_line import run_tool, writable_file  # noqa: E402

BENCHMARKS = {
    "render": "the rendering decoder",
    "lidar": "the LiDAR encoder with and without hidden voxels",
    "lift": "image features to the volume",
    "step": "a training step of a recipe",
    "busy": "a training step beside busy processes",
    "loading": "samples of cameras and of LiDAR against the decoding of images",
    "infos": "starting a data set of nuScenes' size",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a command for each benchmark, with its own arguments."""
    commands = parser.add_subparsers(dest="benchmark", required=True)
    for name, text in BENCHMARKS.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--json", type=Path, help="write the result there as well")
        getattr(benchmark_arguments, f"add_{name}_arguments")(command)


def run(given: argparse.Namespace) -> None:
    """Run the benchmark that is asked for; only its own imports are needed."""
    writable_file(given.json, "--json")
    result = importlib.import_module(f"benchmarks.{given.benchmark}_benchmark").run(given)
    if given.json is not None:
        given.json.write_text(json.dumps(result, indent=2) + "\n")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
