"""Files of arrays: what is written comes back, and what is damaged is refused."""

import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from ponderv2.datasets.mapped_arrays import ArrayWriter, DamagedFileError, MappedArrays

ARRAYS = {
    "flags": np.array([True, False, True]),
    "bytes": np.arange(12, dtype=np.uint8).reshape(4, 3),
    "numbers": np.array([3, -1], dtype=np.int32),
    "none": np.zeros(0, dtype=np.int64),
    "times": np.array([1.5, np.inf]),
}


def write(path: Path, arrays: dict[str, np.ndarray] = ARRAYS, note: str = "a") -> Path:
    with path.open("wb") as file:
        writer = ArrayWriter(file)
        writer.append(b"first")
        writer.append(b"second")
        writer.finish(arrays, {"note": note})
    return path


def test_what_is_written_comes_back_and_cannot_be_changed(tmp_path):
    arrays = MappedArrays(write(tmp_path / "file"))
    assert set(arrays) == {*ARRAYS, "stream"}
    for name, expected in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], expected)
        assert arrays[name].dtype == expected.dtype
        assert arrays[name].flags.aligned
        assert not arrays[name].flags.writeable
    assert arrays["stream"].tobytes().startswith(b"firstsecond")
    assert arrays.metadata["note"] == "a"


def test_bytes_in_memory_do_as_well_as_a_file(tmp_path):
    path = write(tmp_path / "file")
    in_memory = MappedArrays(path.read_bytes())
    for name, expected in MappedArrays(path).items():
        np.testing.assert_array_equal(in_memory[name], expected)
    again = pickle.loads(pickle.dumps(in_memory))
    np.testing.assert_array_equal(again["bytes"], ARRAYS["bytes"])


@pytest.mark.parametrize("missing", [1, 8, 40, 4000, 4096, 4200])
def test_a_file_that_is_cut_off_is_refused(tmp_path, missing):
    path = write(tmp_path / "file")
    path.write_bytes(path.read_bytes()[:-missing])
    with pytest.raises(DamagedFileError, match="file is no finished file of arrays"):
        MappedArrays(path)


@pytest.mark.parametrize("content", [b"", b"text", b"\0" * 5000, pickle.dumps([1.0] * 1000)])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DamagedFileError, match="file is no finished file of arrays"):
        MappedArrays(tmp_path / "file")


def test_arrays_that_are_not_those_that_were_written_are_refused(tmp_path):
    path = write(tmp_path / "file")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match="not those that were written"):
        MappedArrays(path)


@pytest.mark.parametrize("offsets", [[0, 10**9], [-8, 8], [8, 0]])
def test_offsets_that_lead_outside_are_refused(tmp_path, offsets):
    path = write(tmp_path / "file")
    content = path.read_bytes()
    header = json.loads(content[8:4096])
    header["times"]["data_offsets"] = offsets
    path.write_bytes(struct.pack("<Q", 4088) + json.dumps(header).encode().ljust(4088) + content[4096:])
    with pytest.raises(DamagedFileError, match="no finished file of arrays"):
        MappedArrays(path)


def test_a_pickle_names_the_file_and_finds_out_when_that_was_made_anew(tmp_path):
    path = write(tmp_path / "file", {"many": np.zeros(10**6)})
    content = pickle.dumps(MappedArrays(path))
    assert len(content) < 1000
    assert len(pickle.loads(content)["many"]) == 10**6
    write(path, {"many": np.ones(10**6)}, note="b")
    with pytest.raises(DamagedFileError, match="made anew while it was in use"):
        pickle.loads(content)
