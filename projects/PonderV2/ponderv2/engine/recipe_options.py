"""Changes to a recipe from the command line: `key=value`."""

import argparse
import difflib
import inspect
import re
from collections.abc import Mapping, Sequence

from mmengine.config import Config, DictAction
from mmengine.runner import Runner

from ponderv2.errors import UserError

READ_BESIDE_THE_RUNNER = ("auto_scale_lr", "scratch", "tta_model", "tta_pipeline")
"""Keys of a recipe that are read by the tools instead of by mmengine's runner."""
_DICT = re.compile(r"(?:^|[\[(,])[\s'\"]*(?:dict\(|\{)")


def read_keys() -> list[str]:
    """Return the top-level keys of a recipe that anything reads."""
    return sorted({*inspect.signature(Runner.__init__).parameters, *READ_BESIDE_THE_RUNNER} - {"self", "cfg"})


def parse_options(options: Sequence[str]) -> dict:
    """Give the texts `key=value` their values, as mmengine does: numbers, True, None, lists and tuples.

    Raises:
        UserError: a text has no "=", or its value has unbalanced brackets or is a dict.
    """
    wrong = [option for option in options if "=" not in option]
    if wrong:
        raise UserError(f"--cfg-options: expected key=value, got {wrong[0]!r}")
    values = {}
    for option in options:
        if _DICT.search(option.partition("=")[2]):
            # mmengine would take some for text, and look for the end of others without end.
            raise UserError(
                f"--cfg-options {option}: expected numbers, words, lists and tuples; hooks and other dicts go into a "
                "recipe of your own (docs/memory_and_speed.md)"
            )
        # One by one, so that an error names its own.
        parser = argparse.ArgumentParser()
        parser.add_argument("--options", nargs="*", action=DictAction, default={})
        try:
            values |= parser.parse_args(["--options", option]).options
        except (AssertionError, IndexError, RecursionError, SyntaxError, ValueError) as error:
            raise UserError(f"--cfg-options {option}: the value cannot be read, {error}") from error
    return values


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
            config.merge_from_dict({key: options[key]})
        except (AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"--cfg-options {key}: does not fit the recipe, {_misfit(config, key, error)}") from error


def _misfit(config: Config, key: str, error: Exception) -> str:
    """Say where a key leaves the recipe: at a value with nothing inside, or at a place that a list does not have."""
    part, path = config, []
    for name in key.split(".")[:-1]:
        if isinstance(part, list | tuple):
            part = part[int(name)] if name.isdigit() and int(name) < len(part) else None
            if part is None:
                return f"which has no place {name} in {'.'.join(path)}"
        elif name in part:
            part = part[name]
        else:
            break
        path.append(name)
        if not isinstance(part, dict | list | tuple):
            return f"where {'.'.join(path)} is {part!r}"
    return str(error)
