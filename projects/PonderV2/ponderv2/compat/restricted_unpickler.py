"""An unpickler for torch releases whose own weights-only one is missing or unsafe.

It follows the same rule as torch's: a name leads only where a table says, and every instruction that calls,
creates or changes an object first checks that the object is one of the table or a plain container.
"""

import pickle
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping

import torch

from ponderv2.compat.checkpoint_types import RefusedGlobal

__all__ = ["restricted_unpickler"]


def restricted_unpickler(allowed: Mapping[str, Callable]) -> type[pickle._Unpickler]:
    """Make an unpickler class that knows tensors, plain containers and the names of `allowed`.

    Args:
        allowed: what each dotted name leads to; also the only types whose state a file may set.

    Returns:
        A class for the `Unpickler` of the `pickle_module` of `torch.load`. Its `load` raises `RefusedGlobal`.
    """
    table = {**_tensor_globals(), **allowed}
    # By identity: == is the business of the objects, and a dtype equals a string.
    known = {id(value) for value in table.values()}

    # The pure-Python one, since instructions of the C one cannot be guarded.
    class RestrictedUnpickler(pickle._Unpickler):
        dispatch = dict(pickle._Unpickler.dispatch)

        def find_class(self, module: str, name: str) -> object:
            # Protocol 2, that of torch.save, writes builtins under their name in Python 2.
            full_name = f"{'builtins' if module == '__builtin__' else module}.{name}"
            if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
                return getattr(torch, name)
            if full_name not in table:
                raise RefusedGlobal(full_name)
            return table[full_name]

    def guard(opcodes: list[bytes], target_of: Callable, accepts: Callable[[object], bool]) -> None:
        """Let instructions pass only if `accepts` the object that they act on."""
        for opcode in opcodes:
            act = pickle._Unpickler.dispatch[opcode[0]]

            def step(self: RestrictedUnpickler, act: Callable = act) -> None:
                target = target_of(self)
                if not accepts(target):
                    raise RefusedGlobal(getattr(target, "__qualname__", type(target).__qualname__))
                act(self)

            RestrictedUnpickler.dispatch[opcode[0]] = step

    def entry(depth: int) -> Callable:
        return lambda unpickler: unpickler.stack[-depth]

    def below_mark(unpickler: RestrictedUnpickler) -> object:
        return unpickler.metastack[-1][-1]

    def is_type(*types: type) -> Callable[[object], bool]:
        return lambda target: type(target) in types

    def is_known(target: object) -> bool:
        return id(target) in known

    def refuse(self: RestrictedUnpickler) -> None:
        raise RefusedGlobal("pickle instruction of an old protocol")

    guard([pickle.REDUCE, pickle.NEWOBJ], entry(2), is_known)
    guard([pickle.NEWOBJ_EX], entry(3), is_known)
    guard([pickle.BUILD], entry(2), lambda target: type(target) is OrderedDict or is_known(type(target)))
    guard([pickle.APPEND], entry(2), is_type(list))
    guard([pickle.APPENDS], below_mark, is_type(list))
    guard([pickle.SETITEM], entry(3), is_type(dict, OrderedDict, Counter))
    guard([pickle.SETITEMS], below_mark, is_type(dict, OrderedDict, Counter))
    guard([pickle.ADDITEMS], below_mark, is_type(set))
    for opcode in (pickle.INST, pickle.OBJ, pickle.EXT1, pickle.EXT2, pickle.EXT4):
        RestrictedUnpickler.dispatch[opcode[0]] = refuse
    return RestrictedUnpickler


def _tensor_globals() -> dict[str, Callable]:
    return {
        "collections.OrderedDict": OrderedDict,
        "collections.Counter": Counter,
        "builtins.set": set,
        "_codecs.encode": _bytes,
        "torch.Size": torch.Size,
        "torch.device": torch.device,
        "torch._utils._rebuild_tensor": torch._utils._rebuild_tensor,
        "torch._utils._rebuild_tensor_v2": torch._utils._rebuild_tensor_v2,
        "torch._utils._rebuild_parameter": torch._utils._rebuild_parameter,
    }


def _bytes(text: str, encoding: str) -> bytes:
    """Undo how protocol 2 writes bytes; other encodings would import a module by their name."""
    if encoding != "latin1":
        raise RefusedGlobal(f"_codecs.encode(..., {encoding!r})")
    return text.encode("latin1")
