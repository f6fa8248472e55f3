"""The index on the disk: what is written is read again, and files that do not fit are refused in one line."""

import builtins
import hashlib
import json
import pickle
import sys
from dataclasses import replace

import faiss
import numpy as np
import pytest

from ponderv2.errors import UserError
from ponderv2.retrieval import DescriptorSettings, PlaceIndex
from tests.retrieval.places import random_index


def test_an_index_is_read_as_it_was_written_and_finds_the_nearest(tmp_path):
    index = random_index(0)
    index.save(tmp_path / "index")
    found = PlaceIndex.load(tmp_path / "index")
    assert (found.records, found.modality, found.describer) == (index.records, "lidar", index.describer)
    np.testing.assert_array_equal(found.vectors, index.vectors)
    queries = random_index(1, 5).vectors
    cosine, rows = found.search(queries, 7)
    exact = queries @ index.vectors.T
    np.testing.assert_array_equal(rows, np.argsort(-exact, axis=1)[:, :7])
    np.testing.assert_allclose(cosine, -np.sort(-exact, axis=1)[:, :7], rtol=1e-5, atol=1e-6)
    assert found.search(queries, 99)[1].shape == (5, 30)


def _clustered(path):
    quantizer = faiss.IndexFlatIP(8)
    index = faiss.IndexIVFFlat(quantizer, 8, 1, faiss.METRIC_INNER_PRODUCT)
    index.train(random_index(0).vectors)
    faiss.write_index(index, str(path))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "places.faiss").unlink(), "has no places.faiss; tools/build_retrieval_index.py makes one"),
        (lambda f: (f / "places.faiss").write_bytes(b"IxFI"), "expected a flat index of 30 vectors of 8 numbers"),
        (lambda f: _clustered(f / "places.faiss"), "expected a flat index of 30 vectors of 8 numbers"),
        (
            lambda f: (f / "places.faiss").write_bytes((f / "places.faiss").read_bytes()[:-4] + b"\0\0\0\0"),
            "is not the file that places.json was written with",
        ),
        (lambda f: (f / "places.json").write_bytes(pickle.dumps({})), "places.json: expected JSON"),
        (lambda f: (f / "places.json").write_text("[]"), "expected format ponderv2.places.v1, found None"),
        (lambda f: _change(f, modality="sound"), "modality: expected one of"),
        (lambda f: _change(f, describer={}), "describer: expected the keys"),
        (lambda f: _change(f, places=[]), "places: expected at least one"),
        (lambda f: _change(f, dimensions=True), "dimensions: expected a int, got True"),
        (lambda f: _change_place(f, x=float("nan")), "place 0: x: expected a finite float, got nan"),
        (lambda f: _change_place(f, token="token-0-1"), "the token token-0-1 is there twice"),
        (lambda f: _change_place(f, image_path="../../secret"), "image_path leads out of the folder of the data"),
        (lambda f: _change_place(f, more=1), "place 0: expected the keys"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, damage, message):
    random_index(0).save(tmp_path)
    damage(tmp_path)
    with pytest.raises(UserError, match=message):
        PlaceIndex.load(tmp_path)


def _change(folder, **changes):
    note = json.loads((folder / "places.json").read_text())
    (folder / "places.json").write_text(json.dumps(note | changes))


def _change_place(folder, **changes):
    places = json.loads((folder / "places.json").read_text())["places"]
    _change(folder, places=[places[0] | changes, *places[1:]])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (dict(encoder="1" * 64), r"queries: .* encoder is 111111111111… instead of 000000000000…"),
        (dict(settings=DescriptorSettings(layout="whole", power=2.0)), "power is 2.0 instead of 3.0"),
        (dict(projection="ab"), "projection is ab instead of"),
        (dict(channels="volume"), "channels is volume instead of image"),
    ],
)
def test_descriptors_that_were_made_otherwise_are_not_compared(other, message):
    index = random_index(0)
    with pytest.raises(UserError, match=message):
        index.check_comparable(replace(index, describer=replace(index.describer, **other)), "queries")


def test_descriptors_of_another_length_are_not_compared():
    with pytest.raises(UserError, match="length is 9 instead of 8"):
        random_index(0).check_comparable(random_index(1, dimensions=9), "queries")


@pytest.mark.parametrize("place", [*range(0, 45, 4), 37, 40, 44])
def test_no_size_is_believed_that_a_file_tells_of_itself(tmp_path, place, monkeypatch):
    random_index(0).save(tmp_path)
    content = bytearray((tmp_path / "places.faiss").read_bytes())
    content[place] ^= 0x10
    (tmp_path / "places.faiss").write_bytes(content)
    _change(tmp_path, vectors_sha256=hashlib.sha256(content).hexdigest())
    # FAISS makes room for what a file says, before it looks whether that is there.
    monkeypatch.setattr(faiss, "read_index", lambda *_: pytest.fail("FAISS reads the file"))
    with pytest.raises(UserError, match="expected a flat index of 30 vectors of 8 numbers"):
        PlaceIndex.load(tmp_path)


def test_numbers_that_are_not_finite_and_an_index_of_nothing_are_not_written(tmp_path):
    index = random_index(0)
    vectors = index.vectors.copy()
    vectors[2, 3] = np.nan
    with pytest.raises(UserError, match="the descriptor of key frame token-0-2 has numbers that are not finite"):
        replace(index, vectors=vectors).save(tmp_path)
    with pytest.raises(UserError, match="there is no place to write"):
        replace(index, vectors=vectors[:0], records=[]).save(tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_faiss_one_line_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "faiss")
    importing = builtins.__import__
    monkeypatch.setattr("importlib.import_module", lambda name: importing("no_such_module_of_faiss"))
    with pytest.raises(UserError, match="pip install faiss-cpu"):
        random_index(0).search(random_index(0).vectors, 1)


def test_an_index_of_before_lacks_the_hashes_of_sweeps_and_is_read(tmp_path):
    index = random_index(0)
    index.save(tmp_path)
    note = json.loads((tmp_path / "places.json").read_text())
    for place in note["places"]:
        assert place.pop("sweep_hash") == ""
    (tmp_path / "places.json").write_text(json.dumps(note))
    assert PlaceIndex.load(tmp_path).records == index.records
