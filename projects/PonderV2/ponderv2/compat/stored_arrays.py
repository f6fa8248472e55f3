"""Arrays and numbers of numpy in pickles that are not trusted.

A pickle makes an array step by step: an empty array, a type, and calls of `__setstate__` that fill both. Out of these
steps a crafted file makes types that lie about their size or hold pointers, and arrays over memory that is no longer
theirs; numpy does not check. So here a file fills objects of Python alone, and arrays are made of them from bytes whose
number was checked.
"""

import math
import pickle
import re
from collections import Counter, OrderedDict
from collections.abc import Callable

import numpy as np

__all__ = ["StoredArray", "StoredType", "numpy_globals", "with_arrays"]

_CODE = re.compile(r"b1|[iu][1248]|f(2|4|8|16)|c(8|16|32)|[US][0-9]{1,9}")
"""Bool, integers, floats, complex numbers, text and bytes; none that holds pointers, fields or units of time."""


class StoredType:
    """Stands for `numpy.dtype` while a file is read.

    Args:
        code: kind and size in bytes (of text: in characters), as `f8`.
        align: of no meaning for these types.
        copy: of no meaning here.

    Raises:
        pickle.UnpicklingError: it is no type of numbers or text.
    """

    __hash__ = None  # As arrays; so none is a key, and all are found by `with_arrays`.

    def __init__(self, code: str, align: bool = False, copy: bool = False) -> None:
        if not (isinstance(code, str) and _CODE.fullmatch(code)):
            raise pickle.UnpicklingError(f"it wants an array of type {code!r}; only numbers and text are read")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        """Take the order of bytes over; all else is as the code says, or refused."""
        if not isinstance(state, tuple) or len(state) != 8 or state[0] != 3:
            raise pickle.UnpicklingError("it has a type of array in an unknown form")
        order, *inner, size, _, _ = state[1:]
        dtype = np.dtype(_made(self, StoredType, "dtype"))
        if order not in ("<", ">", "|", "=") or inner != [None] * 3 or size not in (-1, dtype.itemsize):
            raise pickle.UnpicklingError(f"it changes the type {dtype.str}, to {state[1:]}")
        self.dtype = dtype.newbyteorder(order)


class StoredArray:
    """Stands for `numpy.ndarray` while a file is read. Its state is checked, and an array made, when it is filled."""

    __hash__ = None

    def __setstate__(self, state: tuple) -> None:
        """Make the array from `([version,] shape, type, whether in Fortran's order, bytes)`."""
        if not isinstance(state, tuple) or len(state) not in (4, 5) or (len(state) == 5 and state[0] != 1):
            raise pickle.UnpicklingError("it has an array in an unknown form")
        shape, dtype, fortran, content = state[-4:]
        self.array = _array(content, dtype, shape, "F" if fortran else "C")


def numpy_globals() -> dict[str, Callable]:
    """Return what the names of numpy in a pickle lead to; its modules have one name in numpy 1 and another in 2."""
    functions = {
        "multiarray._reconstruct": _empty,
        "multiarray.scalar": _scalar,
        "numeric._frombuffer": _from_buffer,
    }
    return {
        "numpy.dtype": StoredType,
        "numpy.ndarray": StoredArray,
        **{f"numpy.{core}.{name}": function for core in ("core", "_core") for name, function in functions.items()},
    }


def with_arrays(content: object, objects: tuple[type, ...] = ()) -> object:
    """Put arrays where their stand-ins are.

    Args:
        content: what was read; its containers are changed in place.
        objects: classes of whose objects the attributes are looked through as well.

    Returns:
        The content, or what takes its place if it is itself a stand-in, or a tuple with some inside.

    Raises:
        pickle.UnpicklingError: the file leaves an array or a type unfilled.
    """
    # The values are kept with their numbers, so that none is given to another object meanwhile.
    seen: dict[int, tuple[object, object]] = {}

    def replaced(value: object) -> object:
        kind = type(value)
        if kind is StoredArray:
            return _made(value, StoredArray, "array")
        if kind is StoredType:
            return _made(value, StoredType, "dtype")
        if kind not in _CONTAINERS and kind not in objects:
            return value
        if id(value) in seen:
            return seen[id(value)][1]
        seen[id(value)] = (value, value)
        if kind is tuple:
            items = tuple(map(replaced, value))
            if any(new is not old for new, old in zip(items, value)):
                seen[id(value)] = (value, items)
                return items
            return value
        inner = value if kind in _CONTAINERS else vars(value)
        for key, old in list(enumerate(inner) if kind is list else inner.items()):
            # Most values of an info file; a call for each takes longer than all the rest.
            if type(old) in _LEAVES:
                continue
            new = replaced(old)
            if new is not old:
                inner[key] = new
        return value

    return replaced(content)


_CONTAINERS = (dict, list, tuple, OrderedDict, Counter)
_LEAVES = frozenset((float, int, str, bool, bytes, type(None), np.float64, np.float32, np.int64, np.bool_))


def _made(stand_in: object, kind: type, name: str) -> object:
    """Return what a stand-in holds; a file may leave it empty, or give another object where one is expected."""
    if type(stand_in) is not kind or not hasattr(stand_in, name):
        raise pickle.UnpicklingError(f"it lacks the {name} of an array")
    return getattr(stand_in, name)


def _empty(kind: object, shape: object, code: object) -> StoredArray:
    if kind is not StoredArray:
        raise pickle.UnpicklingError(f"it wants an array of class {getattr(kind, '__name__', kind)}")
    return StoredArray()


def _scalar(stored: StoredType, content: bytes) -> np.generic:
    dtype = _made(stored, StoredType, "dtype")
    # Numbers have no rules beyond their size, and info files of mmdet3d have hundreds a frame.
    if type(content) is bytes and dtype.kind in "biufc" and dtype.itemsize == len(content):
        return np.frombuffer(content, dtype)[0]
    return _array(content, stored, (), "C")[()]


def _from_buffer(content: bytes | bytearray, dtype: StoredType, shape: tuple[int, ...], order: str) -> np.ndarray:
    return _array(content, dtype, shape, order)


def _array(content: bytes | bytearray, stored: StoredType, shape: tuple[int, ...], order: str) -> np.ndarray:
    """Make an array with memory of its own from as many bytes as it takes."""
    dtype = np.dtype(_made(stored, StoredType, "dtype"))
    if not isinstance(content, bytes | bytearray):
        raise pickle.UnpicklingError(f"expected the bytes of an array, found {type(content).__name__}")
    if not isinstance(shape, tuple) or not all(type(size) is int and size >= 0 for size in shape):
        raise pickle.UnpicklingError(f"expected the shape of an array, found {shape!r}")
    if order not in ("C", "F") or math.prod(shape) * dtype.itemsize != len(content):
        raise pickle.UnpicklingError(f"an array {shape} of type {dtype.str} does not have {len(content)} bytes")
    if not dtype.itemsize:
        # Empty text is a scalar of numpy; an array of it could claim any size.
        if math.prod(shape) > 1:
            raise pickle.UnpicklingError(f"it has an array {shape} of nothing")
        return np.zeros(shape, dtype)
    array = np.ndarray(shape, dtype, bytes(content), order=order).copy(order="K")
    if dtype.kind == "U" and array.size and array.reshape(-1).view(dtype.str[0] + "u4").max() > _LAST_CHARACTER:
        raise pickle.UnpicklingError("it has text that is no Unicode")
    return array


_LAST_CHARACTER = 0x10FFFF
