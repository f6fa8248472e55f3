"""Measure one thing against another: python tools/benchmark.py {render,lidar,lift} [--json FILE] [--help]."""

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

BENCHMARKS = {
    "render": "the rendering decoder",
    "lidar": "the LiDAR encoder with and without hidden voxels",
    "lift": "image features to the volume",
}


def main() -> None:
    """Run the benchmark that is asked for; only its own imports are needed."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="benchmark", required=True)
    chosen = next((argument for argument in sys.argv[1:] if argument in BENCHMARKS), None)
    for name, text in BENCHMARKS.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--json", type=Path, help="write the result there as well")
        if name == chosen:
            module = importlib.import_module(f"benchmarks.{name}_benchmark")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    args = parser.parse_args()
    result = args.run(args)
    if args.json is not None:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
