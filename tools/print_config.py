"""Print a resolved recipe: python tools/print_config.py CONFIG [--scratch] [--cfg-options KEY=VALUE …].

What is printed is everything that training and testing read, with bases and changes put in place.
"""

import argparse

from ponderv2.engine import load_config, resolved_recipe
from ponderv2.engine.launch import add_common_arguments, add_scratch_argument

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_arguments(parser)
    add_scratch_argument(parser)
    given = parser.parse_args()
    print(resolved_recipe(load_config(given.config, given.data_root, given.cfg_options, given.scratch)).pretty_text)
