"""Reading of npz files that nobody vouches for: nothing is unpickled, and no size is believed that the file lacks."""

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ponderv2.errors import UserError

LIMIT = 1 << 30
"""Bytes that a file, and the arrays that are read of it, take at most unless told otherwise."""
_KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# An offset or a size of the archive may be anything, and zipfile computes with them.
_DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)


def read_npz(path: Path, names: Sequence[str], limit: int = LIMIT) -> dict[str, np.ndarray]:
    """Read arrays of a file of `numpy.savez` or `numpy.savez_compressed`, whatever their shapes and types.

    The file is read once. An array is made only when the size that its header tells is that of its bytes, which have
    a checksum; arrays of objects, which are pickles, are not read at all.

    Args:
        path: the file.
        names: names of the arrays that must be there; others are left alone.
        limit: bytes that the file may have, and the arrays together.

    Returns:
        The arrays by name, in the order of `names`; they can be written to.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: the file is too large or damaged, or lacks an array; the message begins with its path.
    """
    try:
        size = path.stat().st_size
        if size > limit:
            raise UserError(f"{path}: expected a file of at most {limit} bytes, got {size}")
        with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
            members = {name: _member(archive, name, path) for name in names}
            total = sum(member.file_size for member in members.values())
            if total > limit:
                raise UserError(f"{path}: expected arrays of at most {limit} bytes together, got {total}")
            return {name: _array(archive.read(member), name) for name, member in members.items()}
    except (FileNotFoundError, UserError):
        raise
    except _DAMAGED as error:
        raise UserError(f"{path}: no whole npz file ({error or type(error).__name__})") from error


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> zipfile.ZipInfo:
    try:
        member = archive.getinfo(f"{name}.npy")
    except KeyError as error:
        found = sorted(entry.removesuffix(".npy") for entry in archive.namelist())
        raise UserError(f"{path}: expected an array {name!r}, found {found[:20]}") from error
    if member.compress_type not in _KINDS:
        raise ValueError(f"{name}: expected no compression, or deflate, got type {member.compress_type}")
    return member


def _array(content: bytes, name: str) -> np.ndarray:
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, by_columns, dtype = read_header(file)
    except Exception as error:  # a header is text that numpy evaluates, and its errors are of any kind
        raise ValueError(f"{name}: its header cannot be read: {error}") from error
    if dtype.hasobject or dtype.itemsize == 0 or min(shape, default=0) < 0:
        raise ValueError(f"{name}: expected an array of numbers or text, its header tells {dtype} of shape {shape}")
    told, there = math.prod(shape) * dtype.itemsize, len(content) - file.tell()
    if told != there:
        raise ValueError(f"{name}: its header tells {dtype} of shape {shape}, {told} bytes, and {there} are there")
    flat = np.frombuffer(content, dtype, offset=file.tell())
    return flat.reshape(shape, order="F" if by_columns else "C").copy(order="K")
