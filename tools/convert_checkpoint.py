"""Convert a published checkpoint: python tools/convert_checkpoint.py SOURCE OUT --from unipad-lidar."""

import argparse
import shlex
import sys
from pathlib import Path

from ponderv2.command_line import existing_file, run_tool, writable_checkpoint

RECIPES = Path(__file__).parents[1] / "configs"
KINDS = (
    *("unipad-camera", "unipad-lidar", "unipad-fusion"),
    *("uvtr-camera", "uvtr-lidar", "uvtr-fusion"),
    *("bevformer-tiny", "bevformer-small", "bevformer-base"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this tool."""
    parser.add_argument(
        "source",
        type=existing_file("checkpoint"),
        help="checkpoint of UniPAD or UVTR, of a detector or a pre-training, or of BEVFormer; nothing of it is run",
    )
    parser.add_argument("out", type=Path, help="checkpoint to write, .pth; of the recipe that the tool names")
    parser.add_argument(
        "--from",
        dest="kind",
        choices=KINDS,
        required=True,
        help="who published it, for which sensors or of which size; uvtr-camera and uvtr-fusion are always refused, "
        "and so are bevformer-small and -base as published: their ResNets have deformable convolutions, which are not "
        "here",
    )
    parser.add_argument(
        "--config", type=existing_file("recipe"), help="recipe of the model, instead of the one that the weights tell"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT where it is there already")
    parser.add_argument("--cfg-options", nargs="+", default=[], metavar="KEY=VALUE", help="changes to the recipe")


def run(given: argparse.Namespace) -> None:
    """Convert the checkpoint."""
    writable_checkpoint(given.out, "OUT", [given.source], given.overwrite)
    from ponderv2.engine.convert import convert
    from ponderv2.engine.recipe_options import parse_options

    options = parse_options(given.cfg_options)
    path, *changes = convert(given.source, given.out, given.kind, RECIPES, given.config, options)
    print(f"written to {given.out}; it is of this recipe, with these settings:")
    recipe = Path(path).relative_to(Path.cwd()) if Path(path).is_relative_to(Path.cwd()) else path
    settings = f" --cfg-options {shlex.join(changes)}" if changes else ""
    print(f"  {shlex.quote(str(recipe))}{settings}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
