"""Npz files that nobody vouches for: what is whole is read, and all else is one clear error without large memory."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from ponderv2.errors import UserError
from ponderv2.npz_files import read_npz

ARRAYS = {
    "places": np.arange(12, dtype=np.float32).reshape(4, 3),
    "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "token": np.array("a frame"),
    "none": np.zeros((0, 3)),
}


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_arrays_are_read_as_numpy_reads_them_and_can_be_written_to(tmp_path, write):
    path = tmp_path / "a.npz"
    write(path, **ARRAYS)
    found = read_npz(path, tuple(ARRAYS))
    with np.load(path, allow_pickle=False) as expected:
        for name, array in found.items():
            np.testing.assert_array_equal(array, expected[name])
            assert (array.dtype, array.shape) == (expected[name].dtype, expected[name].shape)
    found["places"][0] = 0
    assert set(read_npz(path, ["token"])) == {"token"}


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_whatever_byte_is_wrong_or_missing_it_is_one_error_or_the_same_arrays(tmp_path, write):
    path = tmp_path / "a.npz"
    write(path, places=ARRAYS["places"], token=ARRAYS["token"])
    good = path.read_bytes()
    # Every byte of the directory at the end, and some of the rest.
    places = [*range(0, len(good) - 140, 9), *range(len(good) - 140, len(good))]
    wrong = [good[:k] + bytes([good[k] ^ 0xFF]) + good[k + 1 :] for k in places]
    messages = []
    for content in (*wrong, *(good[:k] for k in range(0, len(good), 31))):
        path.write_bytes(content)
        try:
            found = read_npz(path, ["places", "token"])
            np.testing.assert_array_equal(found["places"], ARRAYS["places"])
        except UserError as error:
            messages.append(str(error))
    assert all(message.startswith(f"{path}: ") for message in messages)
    assert len(messages) > len(places) / 2


def _write(path, content, kind=zipfile.ZIP_DEFLATED, name="places.npy"):
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr(name, content)


def _npy(shape, descr="<f4", data=b""):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, dict(descr=descr, fortran_order=False, shape=shape))
    return file.getvalue() + data


def _text(header):
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


@pytest.mark.parametrize(
    "content",
    [
        _npy((50, 1 << 50)),
        _npy((1 << 70,)),
        _npy((1 << 40,), "<U0"),
        _npy((-1, -4), data=bytes(16)),
        _npy((2,), data=bytes(12)),
        _npy((1,), "|O", bytes(8)),
        _npy((1,), [("a", "|O")], bytes(8)),
        _text(b"-" * 9000 + b"1"),
        _text(b"{'descr': [[]], 'fortran_order': False, 'shape': ()}"),
        _text(b"((("),
        b"\x93NUMPY\x09\x00",
        b"",
    ],
)
def test_a_forged_header_is_one_error_and_takes_no_memory(tmp_path, content):
    path = tmp_path / "a.npz"
    _write(path, content)
    tracemalloc.start()
    with pytest.raises(UserError, match=r"a\.npz: no whole npz file \(places: "):
        read_npz(path, ["places"])
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


def test_what_grows_beyond_the_limit_when_it_is_unpacked_is_refused_before(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, places=np.zeros(10**6, np.float32))
    assert path.stat().st_size < 10**5
    with pytest.raises(UserError, match="expected arrays of at most 100000 bytes together, got 4000128"):
        read_npz(path, ["places"], limit=10**5)
    with pytest.raises(UserError, match="expected a file of at most 100 bytes"):
        read_npz(path, ["places"], limit=100)


def test_other_files_and_other_names_are_one_clear_error(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(FileNotFoundError):
        read_npz(path, ["places"])
    np.save(tmp_path / "a.npy", np.zeros(3))
    for content in (b"", b"text", (tmp_path / "a.npy").read_bytes()):
        path.write_bytes(content)
        with pytest.raises(UserError, match="no whole npz file"):
            read_npz(path, ["places"])
    np.savez(path, other=np.zeros(3))
    with pytest.raises(UserError, match=r"expected an array 'places', found \['other'\]"):
        read_npz(path, ["places"])
    _write(path, _npy((1,), data=bytes(4)), zipfile.ZIP_LZMA)
    with pytest.raises(UserError, match="expected no compression, or deflate, got type 14"):
        read_npz(path, ["places"])
    with pytest.raises(UserError, match="no whole npz file"):
        read_npz(tmp_path, ["places"])
