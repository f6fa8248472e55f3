"""Arrays in one file that processes map instead of reading: the safetensors format, written piece by piece.

Processes that map a file share its pages, and nothing but what is looked at comes into memory. The first array of a
file, `stream`, is of bytes and as long as it gets; so a file can be larger than the memory of what writes it.
"""

import json
import mmap
import struct
import zlib
from collections.abc import Mapping
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from ponderv2.errors import UserError

_HEADER_BYTES = 4088
"""Room for the header, which is written last; with the eight bytes before it the arrays start on a page."""

_DTYPES = {
    "BOOL": np.dtype(np.bool_),
    "U8": np.dtype(np.uint8),
    "I32": np.dtype(np.int32),
    "I64": np.dtype(np.int64),
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


class DamagedFileError(UserError):
    """A file of arrays that is cut off, changed, or something else."""


class ArrayWriter:
    """Writes a file of arrays.

    Args:
        file: empty binary file, open for writing.
    """

    def __init__(self, file: BufferedIOBase) -> None:
        self.file, self.size = file, 0
        file.write(b"\0" * (8 + _HEADER_BYTES))

    def append(self, content: bytes) -> None:
        """Append to `stream`."""
        self.file.write(content)
        self.size += len(content)

    def finish(self, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
        """Write the other arrays and the header.

        Raises:
            ValueError: the header is longer than the room for it.
        """
        self.append(b"\0" * (-self.size % 8))
        header = {"stream": {"dtype": "U8", "shape": [self.size], "data_offsets": [0, self.size]}}
        end, checksum = self.size, 0
        # Wide numbers first, so that all lie at multiples of their size.
        for name, array in sorted(arrays.items(), key=lambda item: -item[1].itemsize):
            content = np.ascontiguousarray(array)
            data = content.reshape(-1).view(np.uint8)
            self.file.write(data)
            checksum = zlib.crc32(data, checksum)
            start, end = end, end + content.nbytes
            header[name] = {"dtype": _NAMES[content.dtype], "shape": content.shape, "data_offsets": [start, end]}
        header["__metadata__"] = {**metadata, "checksum": str(checksum)}
        text = json.dumps(header).encode()
        if len(text) > _HEADER_BYTES:
            raise ValueError(f"header of {len(text)} bytes, expected at most {_HEADER_BYTES}")
        self.file.seek(0)
        self.file.write(struct.pack("<Q", _HEADER_BYTES) + text.ljust(_HEADER_BYTES))


class MappedArrays(Mapping[str, np.ndarray]):
    """The arrays of a file or of a block of bytes, read-only and by name.

    A pickle of it names the file, so that another process maps the same one; bytes go along. A deep copy is the object
    itself.

    Args:
        source: path of a file that `ArrayWriter` wrote, or its content.

    Attributes:
        metadata: texts by name.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFileError: the file is cut off, was changed or is something else.
    """

    def __init__(self, source: Path | bytes) -> None:
        self.source = source
        try:
            if isinstance(source, Path):
                # The library's own check of names, types, sizes and bounds.
                with safe_open(str(source), framework="numpy"), source.open("rb") as file:
                    content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            else:
                content = source
            self.metadata, self._arrays = _parsed(content)
        except FileNotFoundError:
            raise
        except (SafetensorError, ValueError, LookupError, TypeError, struct.error) as error:
            raise DamagedFileError(f"{self.name} is no finished file of arrays: {error}") from error

    @property
    def name(self) -> str:
        """The path, for messages."""
        return str(self.source) if isinstance(self.source, Path) else "a file of arrays in memory"

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def __iter__(self):
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __deepcopy__(self, memo: dict) -> "MappedArrays":
        return self

    def __reduce__(self) -> tuple:
        return _reopened, (self.source, self.metadata)


def _reopened(source: Path | bytes, metadata: dict[str, str]) -> MappedArrays:
    arrays = MappedArrays(source)
    if arrays.metadata != metadata:
        raise DamagedFileError(f"{arrays.name} was made anew while it was in use; start again")
    return arrays


def _parsed(content: mmap.mmap | bytes) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    (length,) = struct.unpack_from("<Q", content)
    if length != _HEADER_BYTES:
        raise ValueError(f"header of {length} bytes, expected {_HEADER_BYTES}")
    header = json.loads(content[8 : 8 + length])
    metadata, arrays = header.pop("__metadata__"), {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        dtype, shape = _DTYPES[entry["dtype"]], entry["shape"]
        flat = np.frombuffer(content, dtype, count=(end - start) // dtype.itemsize, offset=8 + length + start)
        arrays[name] = flat.reshape(shape)
    checksum = 0
    for name, array in arrays.items():
        if name != "stream":
            checksum = zlib.crc32(array.reshape(-1).view(np.uint8), checksum)
    if metadata["checksum"] != str(checksum):
        raise ValueError("the arrays are not those that were written")
    return metadata, arrays
