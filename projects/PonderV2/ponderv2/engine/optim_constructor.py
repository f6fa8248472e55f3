"""Parameter groups of the optimiser, with a check of their names."""

import difflib
import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mmengine.logging import MMLogger
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import nn

from ponderv2.registry import OPTIM_WRAPPER_CONSTRUCTORS

from .unwrapping import unwrapped


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class CheckedOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """mmengine's constructor, which here raises an error for `custom_keys` that match no parameter.

    A key matches the parameters that have it anywhere in their names, and of several keys the longest one counts.
    mmengine's own constructor silently ignores a key that matches none: because of two such keys, UVTR's published
    fusion config trains the view transform and the depth head at ten times the intended rate.

    With any `paramwise_cfg`, mmengine also leaves out parameters that are frozen when the optimizer is built; an
    encoder that joins later would then silently never be trained. Those that a model names as its `joining_parameters`
    get their groups here; an optimizer passes over them as long as they have no gradient.

    The log has one line for each setting, with the number of parameters that have it, where mmengine has several lines
    for each parameter.

    The arguments are those of mmengine's constructor.

    Raises:
        ValueError: when it is called and a key matches no parameter; the message names each such key and the parts of
            the model with the closest names.
    """

    def __call__(self, model: nn.Module) -> OptimWrapper:
        model = unwrapped(model)
        names = [name for name, _ in model.named_parameters()]
        unmatched = [key for key in self.paramwise_cfg.get("custom_keys", {}) if not any(key in name for name in names)]
        if unmatched:
            raise ValueError(
                "paramwise_cfg.custom_keys: "
                + "; ".join(f"{key!r} matches no parameter{_hint(key, names)}" for key in unmatched)
            )
        with _trainable(getattr(model, "joining_parameters", [])), _summarized():
            return super().__call__(model)


class _Counting(logging.Filter):
    """Keeps back, and counts, what mmengine says of each parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.options: dict[str, list[str]] = {}
        self.frozen = 0

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if option := re.fullmatch(r"paramwise_options -- (.*?):(\w+=.*)", text):
            self.options.setdefault(option[1], []).append(option[2])
            return False
        if text.endswith("is skipped since its requires_grad=False"):
            self.frozen += 1
            return False
        return True


@contextmanager
def _summarized() -> Iterator[None]:
    """Log what mmengine says of each parameter as one line for each setting."""
    logger, counting = MMLogger.get_current_instance(), _Counting()
    logger.addFilter(counting)
    try:
        yield
    finally:
        logger.removeFilter(counting)
    for options, count in Counter(", ".join(found) for found in counting.options.values()).items():
        logger.info("optimizer: %d parameters with %s", count, options)
    if counting.frozen:
        logger.info("optimizer: %d parameters are frozen and left out", counting.frozen)


@contextmanager
def _trainable(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Make parameters ask for gradients, for the time that mmengine looks at them."""
    frozen = [parameter for parameter in parameters if not parameter.requires_grad]
    for parameter in frozen:
        parameter.requires_grad_(True)
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)


def _hint(key: str, names: list[str]) -> str:
    """Name the parts of the model whose path, or last part of the path, is similar to a key."""
    modules = {name[:end] for name in names for end in range(len(name)) if name[end] == "."} | set(names)
    by_last_name: dict[str, str] = {}
    for path in sorted(modules, key=lambda path: (path.count("."), path)):
        by_last_name.setdefault(path.rpartition(".")[2], path)
    close = difflib.get_close_matches(key, sorted(modules), n=2)
    similar = difflib.get_close_matches(key.rpartition(".")[2], sorted(by_last_name), n=2)
    close += [path for name in similar if (path := by_last_name[name]) not in close]
    if close:
        return ", close to " + " and ".join(repr(path) for path in close)
    return ", whose parts are " + ", ".join(sorted({name.partition(".")[0] for name in names}))
