"""The classes and functions that a checkpoint may ask for, beyond those of tensors and plain containers.

A pickle file names what it needs, and unpickling calls it. This table is the whole of what our loader lets
a file of mmengine name; several names lead to a harmless stand-in rather than to what they say.
"""

from collections.abc import Callable

from ponderv2.compat.stored_arrays import numpy_globals

__all__ = ["RefusedGlobal", "allowed_globals"]


class RefusedGlobal(Exception):
    """A file asks for something outside the table.

    Attributes:
        name: what it asked for, as a dotted name.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class _OneCycleName:
    """Stands for the scheduler class. A file gives its name only to name one of its functions."""


def allowed_globals() -> dict[str, Callable]:
    """Return what a name in a checkpoint of mmengine leads to.

    * `HistoryBuffer` is how the message hub keeps a logged scalar, and numpy arrays are its contents.
    * `getattr` is how pickle writes a reference to a function inside a class: the buffer's own statistics and
      the annealing rule of a one-cycle schedule. It leads to a function that knows these six alone: the real
      one, which is what most advice on this error allows, reaches any function of any object.
    * Names of numpy lead to stand-ins, which `with_arrays` exchanges for arrays once all is read.
    """
    from mmengine.logging import HistoryBuffer

    return {
        "builtins.getattr": _function_in_class,
        "mmengine.logging.history_buffer.HistoryBuffer": HistoryBuffer,
        "mmengine.optim.scheduler.param_scheduler.OneCycleParamScheduler": _OneCycleName,
        **numpy_globals(),
    }


def _function_in_class(owner: object, name: str) -> Callable:
    from mmengine.logging import HistoryBuffer
    from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

    if owner is HistoryBuffer and name in ("min", "max", "mean", "current"):
        return getattr(HistoryBuffer, name)
    if owner is _OneCycleName and name in ("_annealing_cos", "_annealing_linear"):
        return getattr(OneCycleParamScheduler, name)
    raise RefusedGlobal(f"getattr({getattr(owner, '__qualname__', owner)}, {name!r})")
