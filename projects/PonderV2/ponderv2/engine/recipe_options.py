"""Changes to a recipe from the command line: `key=value`."""

import argparse
import difflib
import inspect
from collections.abc import Mapping, Sequence

from mmengine.config import Config, DictAction
from mmengine.runner import Runner

from ponderv2.errors import UserError

READ_BESIDE_THE_RUNNER = ("auto_scale_lr", "scratch", "tta_model", "tta_pipeline")
"""Keys of a recipe that are read by the tools instead of by mmengine's runner."""


def read_keys() -> list[str]:
    """Return the top-level keys of a recipe that anything reads."""
    return sorted({*inspect.signature(Runner.__init__).parameters, *READ_BESIDE_THE_RUNNER} - {"self", "cfg"})


def parse_options(options: Sequence[str]) -> dict:
    """Give the texts `key=value` their values, as mmengine does: numbers, True, None, lists and tuples.

    Raises:
        UserError: a text has no "=".
    """
    wrong = [option for option in options if "=" not in option]
    if wrong:
        raise UserError(f"--cfg-options: expected key=value, got {wrong[0]!r}")
    parser = argparse.ArgumentParser()
    parser.add_argument("--options", nargs="*", action=DictAction, default={})
    return parser.parse_args(["--options", *options]).options if options else {}


def change_recipe(config: Config, options: Mapping[str, object]) -> None:
    """Put changes into a recipe, in place.

    Args:
        config: the recipe.
        options: values by key, with dots between levels; a number is a place in a list.

    Raises:
        UserError: the recipe has no such key at its top level, or a place on the way is no dict and no list.
    """
    known = sorted({*config, *read_keys()})
    for key in options:
        top = key.partition(".")[0]
        if top not in known:
            # Settings come first: a recipe also has names that only help to write it.
            close = difflib.get_close_matches(top, read_keys(), n=1) or difflib.get_close_matches(top, known, n=1)
            hint = (
                f"did you mean {close[0]}?" if close else f"it has {', '.join(k for k in read_keys() if k in config)}"
            )
            raise UserError(f"--cfg-options {key}: the recipe {config.filename} has no {top!r}; {hint}")
    try:
        config.merge_from_dict(dict(options))
    except (AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"--cfg-options {', '.join(options)}: does not fit the recipe {config.filename}, {error}"
        ) from error
