"""Reading of info files that are not trusted.

Info files of the mmdet3d family are pickles. A pickle may run any code when it is loaded, so only plain
Python containers and numpy values are let through; JSON is read as well.
"""

import json
import pickle
from collections import OrderedDict
from collections.abc import Callable
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from ponderv2.compat.stored_arrays import numpy_globals, with_arrays
from ponderv2.errors import UserError
from ponderv2.garbage_collection import no_garbage_collection

DAMAGED = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ImportError,
    OverflowError,
    MemoryError,
    RecursionError,
)
"""What damaged pickles and JSON raise, besides errors of pickle itself: see the documentation of `pickle`."""


class InfoFileError(UserError):
    """An info file that cannot be used; names the file, the key and what was expected."""


def _latin1(text: str, encoding: str) -> bytes:
    """Return bytes, which old pickle protocols write as `_codecs.encode(text, "latin1")`; others are refused."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it wants to encode text as {encoding}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """Return empty bytes, which protocols before 3 write as `bytes()`, as those of an empty array."""
    return b""


class _PlainUnpickler(pickle.Unpickler):
    """Reads plain data; arrays of numpy are stand-ins, and `any_arrays` tells whether there are some."""

    any_arrays = False

    def find_class(self, module: str, name: str) -> Callable:
        full_name = f"{module}.{name}"
        if full_name in _GLOBALS:
            return _GLOBALS[full_name]
        if full_name not in _NUMPY_GLOBALS:
            raise pickle.UnpicklingError(f"it wants to load {full_name}; only containers and numpy values are read")
        self.any_arrays = True
        return _NUMPY_GLOBALS[full_name]


_NUMPY_GLOBALS = numpy_globals()
_GLOBALS = {
    "collections.OrderedDict": OrderedDict,
    "_codecs.encode": _latin1,
    "builtins.bytes": _no_bytes,
    "__builtin__.bytes": _no_bytes,
}


def read_plain_pickle(path: Path) -> Any:
    """Read the containers and numpy values of a pickle; anything else in it is refused.

    Raises:
        pickle.UnpicklingError: the file wants to load anything but plain data.
    """
    with path.open("rb") as file:
        return load_plain(file)


def load_plain(file: BufferedIOBase) -> Any:
    """Read a pickle from an open file, as `read_plain_pickle` does."""
    unpickler = _PlainUnpickler(file)
    content = unpickler.load()
    return with_arrays(content) if unpickler.any_arrays else content


def load_info_file(path: str | Path) -> dict:
    """Read `{metainfo, data_list}` from an info file in mmdet3d's v2 format (`.pkl` or `.json`).

    Raises:
        FileNotFoundError: the file does not exist.
        InfoFileError: the file is damaged, holds anything but plain data, or is of another format.
    """
    path = Path(path)
    must_exist(path)
    with path.open("rb") as file:
        return parse_info_file(file, path)


def must_exist(path: Path) -> None:
    """Check that an info file is there.

    Raises:
        FileNotFoundError: it is not; the message says how to make it where there are tables to make it from.
    """
    if path.is_dir():
        raise FileNotFoundError(f"expected an info file, {path} is a folder")
    if not path.is_file():
        raise FileNotFoundError(f"info file {path} does not exist; {how_to_make_infos(path.parent)}")


def how_to_make_infos(root: Path) -> str:
    """Say what makes the info files of a folder of data, as the end of an error; a question where it has no tables."""
    versions = sorted(folder.name for folder in root.glob("v1.0-*") if folder.is_dir())
    if not versions:
        return f"{root} has no tables (v1.0-*) to make it from; is that the folder of the data?"
    return f"make it with tools/create_data.py --root {root} --version {' or '.join(versions)}"


def parse_info_file(file: BufferedIOBase, path: Path) -> dict:
    """Read an info file that is open, as `load_info_file` does.

    Raises:
        InfoFileError: as there.
    """
    try:
        with no_garbage_collection():
            info = json.load(file) if path.suffix == ".json" else load_plain(file)
    except DAMAGED as error:
        if isinstance(error, pickle.UnpicklingError) and "invalid load key" in str(error):
            raise InfoFileError(
                f"info file {path} is no pickle, or a damaged one ({error}); expected an info file that "
                "tools/create_data.py made"
            ) from error
        raise InfoFileError(f"info file {path} cannot be read: {error}") from error
    if isinstance(info, dict) and "infos" in info:
        raise InfoFileError(
            f"info file {path} is of the generation before mmdet3d 1.0 (key 'infos'): its boxes have width and length "
            "swapped and yaw negated; make it anew in the v2 format (keys 'metainfo', 'data_list')"
        )
    if not isinstance(info, dict) or not {"metainfo", "data_list"} <= set(info):
        found = sorted(info) if isinstance(info, dict) else type(info).__name__
        raise InfoFileError(f"info file {path}: expected a dict with 'metainfo' and 'data_list', found {found}")
    return info
