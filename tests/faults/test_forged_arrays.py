"""Arrays in pickles that lie about their types, their memory or their size are refused before numpy sees them."""

import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ponderv2.compat import safe_checkpoint
from ponderv2.compat.safe_checkpoint import load_checkpoint_file
from ponderv2.compat.stored_arrays import numpy_globals
from ponderv2.datasets import load_info_file
from ponderv2.errors import UserError


def name(path: str) -> bytes:
    module, _, last = path.rpartition(".")
    return f"c{module}\n{last}\n".encode()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def content(size: int) -> bytes:
    """Bytes, as protocol 2 writes them."""
    return name("_codecs.encode") + text("A" * size) + text("latin1") + b"\x86R"


def dtype(code: str) -> bytes:
    return name("numpy.dtype") + text(code) + b"\x89\x88\x87R"


def changed(size: int, flags: int = 0) -> bytes:
    """BUILD: another size and other flags for the type on the stack."""
    return b"(K\x03" + text("|") + b"NNN" + number(size) + number(1) + number(flags) + b"tb"


def array(kind: bytes, size: bytes, data: bytes) -> bytes:
    """An array of one dimension, filled; its type is memoized at 1 and the array at 2."""
    empty = name("numpy.core.multiarray._reconstruct") + name("numpy.ndarray") + b"K\x00\x85" + content(1) + b"\x87R"
    return empty + b"q\x02" + b"(K\x01" + size + b"\x85" + kind + b"q\x01\x89" + data + b"tb"


REFUSED = {
    # Pointers that the file gives, without the flag that says so.
    "objects without their flag": name("numpy.ndarray")
    + b"K\x01\x85"
    + dtype("O8")
    + changed(-1)
    + content(8)
    + b"\x87R",
    "objects": array(dtype("O8"), b"K\x01", content(8)),
    # The memory behind four bytes of text.
    "a type that grows afterwards": b"(" + array(dtype("S1"), b"K\x04", content(4)) + b"h\x01" + changed(4096) + b"t",
    "a type of another size": array(dtype("S1") + changed(4096), b"K\x04", content(4)),
    "a number of another size": array(dtype("f8") + changed(4096), b"K\x01", content(8)),
    # A view of an array that is filled anew and has left its memory.
    "a view": name("numpy.ndarray") + b"K\x08\x85" + dtype("u1") + array(dtype("u1"), b"K\x08", content(8)) + b"\x87R",
    "a buffer of an array": name("numpy.core.numeric._frombuffer")
    + b"("
    + array(dtype("u1"), b"K\x08", content(8))
    + dtype("u1")
    + b"K\x08\x85"
    + text("C")
    + b"tR",
    "memory that nothing was written to": name("numpy.ndarray") + b"M\x00\x10\x85" + dtype("f8") + b"\x86R",
    "more than its bytes": array(dtype("f8"), b"K\x02", content(8)),
    "sizes below zero": array(dtype("f8"), number(-1), content(8)),
    "a billion times nothing": array(dtype("U0"), number(10**9), b"N"),
    "fields": array(dtype("V8"), b"K\x01", content(8)),
    "dates": array(dtype("M8"), b"K\x01", content(8)),
    "text beyond Unicode": array(dtype("U1"), b"K\x01", content(4)),
    "another class": name("numpy.core.multiarray._reconstruct") + dtype("f8") + b"K\x00\x85" + content(1) + b"\x87R",
    "an array that is never filled": name("numpy.core.multiarray._reconstruct")
    + name("numpy.ndarray")
    + b"K\x00\x85"
    + content(1)
    + b"\x87R",
}


def info_file(folder: Path, value: bytes) -> Path:
    path = folder / "forged.pkl"
    path.write_bytes(b"\x80\x02}(" + text("metainfo") + b"}" + text("data_list") + b"]" + text("x") + value + b"u.")
    return path


def checkpoint(folder: Path, value: bytes) -> Path:
    torch.save({"x": 1}, folder / "honest.pth")
    with zipfile.ZipFile(folder / "honest.pth") as honest, zipfile.ZipFile(folder / "forged.pth", "w") as forged:
        for entry in honest.namelist():
            program = b"\x80\x02}" + text("x") + value + b"s."
            forged.writestr(entry, program if entry.endswith("data.pkl") else honest.read(entry))
    return folder / "forged.pth"


READERS = {
    "info file": (info_file, load_info_file, None),
    "checkpoint": (checkpoint, load_checkpoint_file, None),
    "checkpoint, torch before 2.7": (checkpoint, load_checkpoint_file, (2, 1)),
}


@pytest.fixture(params=READERS)
def read(request, tmp_path, monkeypatch) -> Callable[[bytes], object]:
    """A function that reads the value that a pickle program leaves on the stack, out of a file of each kind."""
    write, load, version = READERS[request.param]
    if version:
        monkeypatch.setattr(safe_checkpoint, "_torch_version", lambda: version)
    elif request.param == "checkpoint" and safe_checkpoint._torch_version() < (2, 7):
        pytest.skip("needs torch >= 2.7")
    return lambda value: load(write(tmp_path, value))["x"]


@pytest.mark.parametrize("kind", REFUSED)
def test_a_crafted_array_is_refused(read, kind):
    with pytest.raises(UserError, match=r"forged\.p"):
        read(REFUSED[kind])


@pytest.mark.parametrize("path", ["numpy.dtype[float64]", "numpy.dtypes.BytesDType", "numpy.recarray", "numpy.load"])
def test_no_other_name_of_numpy_is_known(read, path):
    with pytest.raises(UserError, match=r"forged\.p"):
        read(name(path))


def test_what_the_programs_here_make_honestly_is_read(read):
    found = read(array(dtype("S1"), b"K\x04", content(4)))
    np.testing.assert_array_equal(found, np.array([b"A"] * 4))
    assert type(found) is np.ndarray
    assert found.flags.owndata
    assert found.flags.writeable


def test_an_array_is_one_wherever_it_occurs_and_cycles_end(read):
    """A list of itself, an array, the same array in a tuple, and the tuple again."""
    listed = b"]q\x05(h\x05" + array(dtype("f4"), b"K\x01", content(4)) + b"h\x02\x85q\x06h\x06e"
    whole, first, inside, again = read(listed)
    assert whole[1] is first is inside[0] is again[0]
    assert type(first) is np.ndarray


def test_tuples_of_tuples_are_looked_through_once(read):
    """Two to the power of 60 arrays, if each was counted where it occurs."""
    assert type(read(array(dtype("f4"), b"K\x01", content(4)) + b"q\x07h\x07\x86q\x07" * 60)) is tuple


@pytest.mark.parametrize("value", [np.arange(3, dtype=">f8"), np.array(3.5), np.str_(""), np.array(["ü", "x"])])
def test_order_of_bytes_and_arrays_without_dimensions_survive(tmp_path, value):
    path = tmp_path / "infos.pkl"
    path.write_bytes(pickle.dumps({"metainfo": {}, "data_list": [], "x": value}))
    found = load_info_file(path)["x"]
    assert (type(found), found.dtype) == (type(value), value.dtype)
    np.testing.assert_array_equal(found, value)


def test_nothing_of_numpy_itself_is_within_reach():
    assert all(value.__module__ == "ponderv2.compat.stored_arrays" for value in numpy_globals().values())
