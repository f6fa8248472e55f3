"""Load local checkpoints, mmengine's own included, without running what a file asks for.

Since torch 2.6 `torch.load` refuses every checkpoint that mmengine 0.10.7 saves, so that neither `resume`
nor `load_from` works (open-mmlab/mmengine#1655). The usual ways out, `weights_only=False` or allowing
`getattr`, let a downloaded file run any code. The loader here allows the few types of `checkpoint_types`
and nothing else.
"""

import os
import pickle
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import torch

from ponderv2.compat.checkpoint_types import RefusedGlobal, allowed_globals
from ponderv2.compat.restricted_unpickler import restricted_unpickler
from ponderv2.compat.stored_arrays import with_arrays
from ponderv2.errors import UserError

__all__ = [
    "CorruptCheckpointError",
    "UnsafeCheckpointError",
    "install_checkpoint_loader",
    "load_checkpoint_file",
]

MapLocation = str | torch.device | dict | Callable | None


class UnsafeCheckpointError(UserError, RuntimeError):
    """A checkpoint file asks for something that no checkpoint needs; nothing of it was run.

    Attributes:
        path: the file.
        refused: what it asked for, as a dotted name where it has one.
    """

    def __init__(self, path: Path, refused: str) -> None:
        super().__init__(
            f"refused to load {path}: it asks for `{refused}`, and a checkpoint may hold only tensors, "
            "numpy arrays, plain containers and mmengine's training log. If you trust whoever made the file, "
            "load it yourself with torch.load(weights_only=False) and save its state_dict alone."
        )
        self.path = path
        self.refused = refused


class CorruptCheckpointError(UserError, RuntimeError):
    """A checkpoint file is cut short, damaged, or no checkpoint at all."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot read {path} as a checkpoint: {reason}. Copy, download or save it again.")
        self.path = path


def install_checkpoint_loader() -> None:
    """Make mmengine read every local checkpoint through `load_checkpoint_file`."""
    from mmengine.runner import CheckpointLoader

    CheckpointLoader.register_scheme(prefixes="", loader=load_from_local, force=True)


# mmengine logs what follows "load_from_" in the name of its loader.
def load_from_local(filename: str, map_location: MapLocation = None) -> dict:
    """Load a local checkpoint. This is the form that mmengine's `CheckpointLoader` calls."""
    return load_checkpoint_file(filename, map_location)


def load_checkpoint_file(path: str | os.PathLike, map_location: MapLocation = "cpu") -> dict:
    """Load a checkpoint of torch, mmengine or safetensors from a local file.

    Args:
        path: the file; `~` is expanded. A file whose name ends in `.safetensors` is read as such.
        map_location: where the tensors go, as in `torch.load`; None puts every tensor where it was saved from.

    Returns:
        What the file holds; of a safetensors file this is `{"state_dict": tensors}`.

    Raises:
        FileNotFoundError: there is no such file.
        CorruptCheckpointError: the file is cut short, damaged, or holds something other than a dict.
        UnsafeCheckpointError: the file asks for a class or function that no checkpoint needs.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}; expected a .pth or .safetensors file")
    if path.suffix == ".safetensors":
        return {"state_dict": _load_safetensors(path, map_location)}
    checkpoint = _load_torch(path, map_location)
    if not isinstance(checkpoint, dict):
        raise CorruptCheckpointError(path, f"it holds a {type(checkpoint).__name__}, expected a dict")
    return checkpoint


def _load_safetensors(path: Path, map_location: MapLocation) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    # safetensors keeps no device, so a rule that maps devices has nothing to say.
    device = str(map_location) if isinstance(map_location, (str, torch.device)) else "cpu"
    try:
        return load_file(path, device=device)
    except SafetensorError as error:
        raise CorruptCheckpointError(path, str(error)) from error


def _load_torch(path: Path, map_location: MapLocation) -> object:
    is_zip = _check_container(path)
    try:
        # Torch's own weights-only unpickler comes first, for it is maintained against attacks. Every release
        # since 2.7 can be told what to make of a name in the file; before 2.6 it was itself unsafe
        # (CVE-2025-32434). For those releases an unpickler of ours follows the same rules.
        if _torch_version() < (2, 7) and not is_zip:
            raise CorruptCheckpointError(path, "its format is older than torch 1.6, and needs torch >= 2.7")
        read = _read_weights_only if _torch_version() >= (2, 7) else _read_restricted
        return with_arrays(read(path, map_location), _log_classes())
    except UserError:
        raise
    except RefusedGlobal as error:
        raise UnsafeCheckpointError(path, error.name) from None
    except pickle.UnpicklingError as error:
        raise UnsafeCheckpointError(path, _refused_by_torch(str(error))) from None
    except _DAMAGED as error:
        raise CorruptCheckpointError(path, f"{type(error).__name__} while reading it") from error
    except RuntimeError as error:
        # What is about devices is not about the file, and speaks for itself.
        if re.search("CUDA|device", str(error)):
            raise
        raise CorruptCheckpointError(path, str(error).splitlines()[0][:200]) from error


_DAMAGED = (
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    MemoryError,
    RecursionError,
    struct.error,
    zipfile.BadZipFile,
)
"""What torch raises for damaged files, which it does not check before it follows them."""


def _log_classes() -> tuple[type, ...]:
    from mmengine.logging import HistoryBuffer

    return (HistoryBuffer,)


def _read_weights_only(path: Path, map_location: MapLocation) -> object:
    allowed = [(value, name) for name, value in allowed_globals().items()]
    with torch.serialization.safe_globals(allowed):
        return torch.load(path, map_location=map_location, weights_only=True)


def _read_restricted(path: Path, map_location: MapLocation) -> object:
    module = SimpleNamespace(__name__="restricted", Unpickler=restricted_unpickler(allowed_globals()))
    return torch.load(path, map_location=map_location, pickle_module=module, weights_only=False)


def _check_container(path: Path) -> bool:
    """Tell the zip format of torch.save (True) from the one before torch 1.6 (False); refuse all else."""
    with path.open("rb") as file:
        start = file.read(4)
    if start[:2] == b"\x80\x02":
        return False
    # torch decides by the first four bytes, zipfile by the last ones: demand both.
    if start != b"PK\x03\x04" or not zipfile.is_zipfile(path):
        reason = "its end is missing" if start == b"PK\x03\x04" else "torch.save did not write it"
        raise CorruptCheckpointError(path, reason)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise CorruptCheckpointError(path, str(error)) from error
    names = [entry.filename for entry in entries]
    if any(name.endswith("constants.pkl") for name in names):
        raise UnsafeCheckpointError(path, "TorchScript program")
    # torch.save compresses nothing. What is compressed could become a thousand times as large in memory.
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise CorruptCheckpointError(path, "it is compressed, and torch.save did not write it so")
    if not any(name.endswith("/data.pkl") for name in names):
        raise CorruptCheckpointError(path, "torch.save did not write it")
    return True


def _torch_version() -> tuple[int, int]:
    major, minor = torch.__version__.split(".")[:2]
    return int(major), int(minor)


def _refused_by_torch(message: str) -> str:
    """Pick out of torch's message the name of what it refused, or else its reason."""
    found = re.search(r"GLOBAL (\S+)", message)
    if found:
        return found.group(1)
    reasons = [line for line in message.splitlines() if "WeightsUnpickler error" in line]
    return reasons[0].split("WeightsUnpickler error:")[-1].strip() if reasons else message.splitlines()[0]
