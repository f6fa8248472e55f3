"""Print a resolved recipe: python tools/print_config.py CONFIG [--scratch] [--cfg-options KEY=VALUE …].

What is printed is everything that training and testing read, with bases and changes put in place.

Exit code: 0 done, 2 there is no such recipe or baseline.
"""

import argparse
import sys

from ponderv2.engine import load_config, resolved_recipe
from ponderv2.engine.launch import add_common_arguments, add_scratch_argument


def main() -> int:
    """Print the recipe; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_arguments(parser)
    add_scratch_argument(parser)
    given = parser.parse_args()
    try:
        config = load_config(given.config, given.data_root, given.cfg_options, given.scratch)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(resolved_recipe(config).pretty_text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
