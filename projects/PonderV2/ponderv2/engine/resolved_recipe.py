"""A recipe with all its parts put in place, and nothing that only helped to write it."""

import copy

from mmengine.config import Config

from .recipe_options import read_keys


def resolved_recipe(config: Config) -> Config:
    """Return a copy of a recipe with the settings that the runner and the tools read.

    Named pipeline steps, encoders and other values that a recipe imports or defines to build these settings are left
    out; the copy trains and tests like the original.

    Args:
        config: a loaded recipe, see `load_config`.
    """
    settings = {key: copy.deepcopy(config[key]) for key in read_keys() if key in config}
    return Config(settings, filename=config.filename)
