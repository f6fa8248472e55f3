"""Reading info files without trusting them.

Info files of the mmdet3d family are pickles. A pickle may run any code when it is loaded, so only plain
Python containers and numpy values are let through; JSON is read as well.
"""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

_ALLOWED = {
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("collections", "OrderedDict"),
}


class InfoFileError(ValueError):
    """An info file that cannot be used; names the file, the key and what was expected."""


def _latin1(text: str, encoding: str) -> bytes:
    """What old pickle protocols write bytes as: `_codecs.encode(text, "latin1")`, and nothing else of codecs."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it wants to encode text as {encoding}")
    return text.encode("latin1")


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable:
        if (module, name) == ("_codecs", "encode"):
            return _latin1
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it wants to load {module}.{name}; only containers and numpy values are read")
        # numpy 2 renamed numpy.core; either generation reads the other's files.
        return super().find_class(_numpy_core(module), name)


def _numpy_core(module: str) -> str:
    if module not in ("numpy.core.multiarray", "numpy._core.multiarray"):
        return module
    import numpy as np

    return "numpy._core.multiarray" if int(np.__version__.split(".")[0]) >= 2 else "numpy.core.multiarray"


def load_info_file(path: str | Path) -> dict:
    """`{metainfo, data_list}` of an info file in mmdet3d's v2 format (`.pkl` or `.json`).

    Raises:
        FileNotFoundError: naming the path.
        InfoFileError: when the file is damaged, holds anything but plain data, or is of another format.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"info file {path} does not exist; is --data-root right?")
    try:
        if path.suffix == ".json":
            info = json.loads(path.read_text())
        else:
            with path.open("rb") as file:
                info = _PlainUnpickler(file).load()
    except (pickle.UnpicklingError, EOFError, json.JSONDecodeError, UnicodeDecodeError) as error:
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
