"""Parameter groups whose names are checked."""

import difflib

from mmengine.model import is_model_wrapper
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import nn

from ponderv2.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class CheckedOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """mmengine's constructor, refusing `custom_keys` that match no parameter.

    A key matches the parameters that have it anywhere in their names, and the longest key that matches counts. One
    that matches none has no effect and says nothing: in UVTR's published fusion config two such entries leave the
    view transform and the depth head at ten times the rate that was meant.

    Args: as mmengine's.

    Raises:
        ValueError: on calling it, naming each such key and the names that come closest.
    """

    def __call__(self, model: nn.Module) -> OptimWrapper:
        if is_model_wrapper(model):
            model = model.module
        names = [name for name, _ in model.named_parameters()]
        lost = [key for key in self.paramwise_cfg.get("custom_keys", {}) if not any(key in name for name in names)]
        if lost:
            raise ValueError(
                "paramwise_cfg.custom_keys: "
                + "; ".join(f"{key!r} matches no parameter{_hint(key, names)}" for key in lost)
            )
        return super().__call__(model)


def _hint(key: str, names: list[str]) -> str:
    """What a key may have meant: a part of the model with a similar path or a similar last name."""
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
