"""Arguments that several tools have."""

import argparse
from pathlib import Path

from .values import existing_file, existing_folder

MOST_NAMED = 6
"""Recipes that an error names, at most."""


def add_recipe_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the recipe, the data folder, and changes to the recipe: `config`, `data_root`, `cfg_options`.

    The changes are texts; `ponderv2.engine.load_config` gives them their values.
    """
    parser.add_argument("config", type=recipe_file, help="recipe, a file under configs/")
    parser.add_argument(
        "--data-root",
        type=existing_folder("folder"),
        metavar="DIR",
        help="folder of the data, for all data sets and metrics",
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        type=key_value,
        default=[],
        metavar="KEY=VALUE",
        help="changes to the recipe, keys with dots",
    )


def recipe_file(text: str) -> Path:
    """Read the path of a recipe that has to be there; for a name alone, say which recipes in `configs` hold it.

    Raises:
        argparse.ArgumentTypeError: there is no such file.
    """
    path = Path(text).expanduser()
    if not path.exists() and path.name == text:
        found = sorted(recipe for recipe in Path("configs").glob("[!_]*/*.py") if path.stem in recipe.stem)
        if found:
            more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
            names = ", ".join(map(str, found[:MOST_NAMED]))
            raise argparse.ArgumentTypeError(f"recipe {text} does not exist; by that name there are {names}{more}")
    return existing_file("recipe")(text)


def add_scratch_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--scratch`, which trains the baseline that a recipe names."""
    parser.add_argument("--scratch", action="store_true", help="the recipe's baseline without pre-training")


def add_launch_arguments(
    parser: argparse.ArgumentParser,
    work_dir: str = "logs and checkpoints; default work_dirs/<config name>, of a baseline <config name>_scratch",
) -> None:
    """Add where a runner works, with what the help says of that, and in how many processes: `work_dir`, `launcher`."""
    parser.add_argument(
        "--work-dir",
        type=Path,
        metavar="DIR",
        help=work_dir,
    )
    parser.add_argument(
        "--launcher",
        choices=["none", "pytorch", "slurm", "mpi"],
        default="none",
        help="what started this process as one of several: torchrun (pytorch), srun (slurm) or mpirun (mpi)",
    )
    # Older versions of torchrun pass this rank; it is also in the environment, where mmengine reads it.
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)


def add_device_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--device`; without it a GPU is used where there is one, see `ponderv2.engine.devices`."""
    parser.add_argument("--device", help="device to compute on, as cuda:0; default a GPU where there is one, else cpu")


def key_value(text: str) -> str:
    """Check the text `key=value`.

    Raises:
        argparse.ArgumentTypeError: it has no key or no "=".
    """
    key, equals, _ = text.partition("=")
    if not equals or not key.strip("."):
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, got {text!r}")
    return text
