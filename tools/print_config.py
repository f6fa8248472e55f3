"""Print a resolved recipe: python tools/print_config.py CONFIG [--scratch] [--cfg-options KEY=VALUE …].

What is printed is everything that training and testing read, with bases and changes put in place.

Exit code: 0 done, 2 there is no such recipe or baseline.
"""

import argparse
import sys

from ponderv2.command_line import add_recipe_arguments, add_scratch_argument, run_tool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this tool."""
    add_recipe_arguments(parser)
    add_scratch_argument(parser)


def run(given: argparse.Namespace) -> None:
    """Print the recipe."""
    from ponderv2.engine import load_config, must_have, parse_options, resolved_recipe

    config = load_config(given.config, given.data_root, parse_options(given.cfg_options), given.scratch)
    must_have(config, ("model",), "print")
    print(resolved_recipe(config).pretty_text)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_tool(__doc__, add_arguments, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
