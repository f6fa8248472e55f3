"""The config of an encoder as data: out of a recipe to plain JSON values, and back through the allow-list."""

import importlib
import inspect
import math
from collections.abc import Callable, Mapping

import torch
from mmengine.config.lazy import LazyAttr, LazyObject
from torch import nn

from ponderv2.errors import UserError

from .allow_list import (
    COUNTS,
    MAX_CELLS,
    MAX_CHARACTERS,
    MAX_COUNT,
    MAX_ITEMS,
    MAX_NUMBER,
    MAX_PAD_DIVISOR,
    NOT_STORED,
    PARTS,
    SETTINGS,
)


def config_to_data(config: Mapping, part: str, where: str) -> dict:
    """Turn the config of a recipe into plain values for a header.

    Classes become their short names, tuples become lists, and arguments that the config leaves out are written with
    their defaults, so that the file keeps its meaning when a default changes. `NOT_STORED` settings are left out.

    Args:
        config: a dictionary with a `type`: a class, its lazy form, or its name.
        part: the entry of `PARTS` that it is for, "encoder" or "preprocessor".
        where: name of the config in error messages.

    Raises:
        ValueError: the config names a class that is not on the allow-list, or holds a value that JSON has not.
    """
    data = _part_to_data(config, part, where)
    config_from_data(data, part, where)
    return data


def config_from_data(data: object, part: str, where: str) -> dict:
    """Turn the values of a header into a config to build, with classes of the allow-list as types.

    Args:
        data: what JSON gave. It is not trusted.
        part: the entry of `PARTS` that it is for, "encoder" or "preprocessor".
        where: name of the data in error messages.

    Raises:
        ValueError: naming the entry that is not allowed, unknown, not finite or too large.
    """
    return _part_from_data(data, part, where)


def build_encoder(config: dict, device: str, where: str) -> nn.Module:
    """Build an encoder of `config_from_data`, without touching torch's random numbers.

    Args:
        config: what to build.
        device: "meta" gives an encoder without memory, to compare shapes with.
        where: name of the config in error messages.

    Raises:
        ValueError: the settings do not fit together, or the volume has more than `MAX_CELLS` cells.
    """
    encoder = _build(config, device, where)
    if math.prod(encoder.grid.size) > MAX_CELLS:
        raise UserError(f"{where}.grid.size: {encoder.grid.size} are more than {MAX_CELLS} cells")
    return encoder


def build_preprocessor(config: dict, where: str) -> nn.Module:
    """Build a preprocessor of `config_from_data` on the CPU.

    Raises:
        ValueError: the mean or the deviation is not three numbers, or the divisor is no size of images.
    """
    for key in ("mean", "std"):
        value = config.get(key)
        numbers = isinstance(value, tuple) and len(value) == 3 and all(type(v) in (int, float) for v in value)
        if not numbers or (key == "std" and min(value) <= 0):
            raise UserError(f"{where}.{key}: expected a number each for red, green and blue, found {value}")
    divisor = config.get("pad_divisor")
    if not isinstance(divisor, int) or not 1 <= divisor <= MAX_PAD_DIVISOR:
        raise UserError(f"{where}.pad_divisor: expected 1 to {MAX_PAD_DIVISOR} pixels, found {divisor}")
    return _build(config, "cpu", where)


def _build(config: dict, device: str, where: str) -> nn.Module:
    # Not at the top: the registry imports, and repairs, the whole stack.
    from ponderv2.registry import MODELS

    try:
        with torch.random.fork_rng(devices=[]), torch.device(device):
            return MODELS.build(config)
    # Constructors raise what they like, assertions included; all of it says that the settings are wrong.
    except Exception as error:
        raise UserError(f"{where}: {config['type'].__name__} cannot be built: {error}") from error


def _part_to_data(config: object, part: str, where: str) -> dict:
    if not isinstance(config, Mapping):
        raise UserError(f"{where}: expected a config, a dictionary with a type, found {type(config).__name__}")
    name = _name_of(config.get("type"), PARTS[part], f"{where}.type")
    arguments = _arguments(_imported(PARTS[part][name], name))
    settings = arguments | {k: v for k, v in config.items() if k != "type" and k not in NOT_STORED}
    given = {k: v for k, v in settings.items() if v is not inspect.Parameter.empty}
    return {"type": name} | {k: _to_data(v, k, f"{where}.{k}") for k, v in given.items()}


def _to_data(value: object, key: str, where: str) -> object:
    if key in PARTS and value is not None:
        return _part_to_data(value, key, where)
    if isinstance(value, Mapping):
        types = SETTINGS[key].types if key in SETTINGS else {}
        return {
            k: _name_of(v, types, f"{where}.type") if k == "type" else _to_data(v, k, f"{where}.{k}")
            for k, v in value.items()
        }
    if isinstance(value, list | tuple):
        return [_to_data(v, key, where) for v in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise UserError(f"{where}: {value!r} cannot be stored in an encoder file, expected plain values")


def _name_of(kind: object, allowed: Mapping[str, str | None], where: str) -> str:
    """Return the short name of a class of the allow-list that is given as class, lazy object or dotted name."""
    if isinstance(kind, LazyObject | LazyAttr):
        kind = kind.build()
    if isinstance(kind, type):
        module = allowed.get(kind.__name__)
        if module is not None and _imported(module, kind.__name__) is kind:
            return kind.__name__
    elif isinstance(kind, str):
        root, name = kind.split(".")[0], kind.split(".")[-1]
        if name in allowed and (root == name or root == (allowed[name] or "").split(".")[0]):
            return name
    raise UserError(
        f"{where}: {kind!r} cannot be stored in an encoder file, expected {_either(allowed)}; "
        "ponderv2/checkpoints/allow_list.py lists what can"
    )


def _part_from_data(data: object, part: str, where: str) -> dict:
    name, allowed = _checked_type(data, PARTS[part], where), PARTS[part]
    kind = _imported(allowed[name], name)
    known = _arguments(kind)
    # Our own classes are annotated with tuples; mmdet's FPN insists on lists.
    sequence = tuple if allowed[name].startswith("ponderv2.") else list
    config = {"type": kind}
    for key, value in data.items():
        if key == "type":
            continue
        if key not in known:
            raise UserError(f"{where}.{key}: {name} takes no such setting from a file, expected {_either(known)}")
        config[key] = _from_data(value, key, f"{where}.{key}", sequence)
    return config


def _from_data(value: object, key: str, where: str, sequence: Callable) -> object:
    if key in PARTS and value is not None:
        return _part_from_data(value, key, where)
    if isinstance(value, dict):
        return _settings_from_data(value, key, where, sequence)
    if isinstance(value, list):
        if len(value) > MAX_ITEMS:
            raise UserError(f"{where}: expected at most {MAX_ITEMS} entries, found {len(value)}")
        return sequence(_checked_scalar(v, key, where) for v in value)
    return _checked_scalar(value, key, where)


def _settings_from_data(data: dict, key: str, where: str, sequence: Callable) -> dict:
    if key not in SETTINGS:
        raise UserError(f"{where}: expected no dictionary here")
    settings = SETTINGS[key]
    unknown = [k for k in data if k not in settings.keys]
    if unknown:
        raise UserError(f"{where}.{unknown[0]}: not allowed in an encoder file, expected {_either(settings.keys)}")
    config = {k: _from_data(v, k, f"{where}.{k}", sequence) for k, v in data.items() if k != "type"}
    if settings.types:
        name = _checked_type(data, settings.types, where)
        module = settings.types[name]
        config["type"] = name if module is None else _imported(module, name)
    return config


def _checked_type(data: object, allowed: Mapping, where: str) -> str:
    if not isinstance(data, dict):
        raise UserError(f"{where}: expected a dictionary with a type, found {_shown(data)}")
    name = data.get("type")
    if not isinstance(name, str) or name not in allowed:
        raise UserError(f"{where}.type: {_shown(name)} is not allowed here, expected {_either(allowed)}")
    return name


def _checked_scalar(value: object, key: str, where: str) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= MAX_CHARACTERS:
        return value
    if isinstance(value, int | float):
        limit = MAX_COUNT if key in COUNTS else MAX_NUMBER
        # Neither NaN nor infinity is at most anything.
        if abs(value) <= limit:
            return value
        raise UserError(f"{where}: expected a number of at most {limit}, found {_shown(value)}")
    raise UserError(f"{where}: expected a number, a short text or a list of them, found {_shown(value)}")


def _arguments(kind: type) -> dict[str, object]:
    """Return the arguments of a class that a file may set, with their defaults."""
    parameters = inspect.signature(kind).parameters
    return {name: p.default for name, p in parameters.items() if name not in NOT_STORED}


def _imported(module: str, name: str) -> type:
    # Both come from the allow-list, never from a file.
    return getattr(importlib.import_module(module), name)


def _either(names: Mapping | tuple) -> str:
    return " or ".join(names) if names else "no type"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 2 * MAX_CHARACTERS else text[: 2 * MAX_CHARACTERS] + "..."
