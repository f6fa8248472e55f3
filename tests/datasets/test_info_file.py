"""Info files are read without being trusted, and errors name the file."""

import codecs
import json
import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ponderv2.datasets import load_info_file
from ponderv2.datasets.info_file import InfoFileError

PLAIN = {"metainfo": {"dataset": "nuscenes"}, "data_list": [{"token": "a", "pose": [[1.0, 0.5], [0.0, 1.0]]}]}
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Runs:
    """Pickled, it calls `function(*arguments)` when it is loaded."""

    def __init__(self, function, *arguments) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple:
        return self.call


def written(folder: Path, content: bytes, name: str = "infos.pkl") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_json_and_pickle_give_the_same(tmp_path):
    from_json = load_info_file(written(tmp_path, json.dumps(PLAIN).encode(), "infos.json"))
    from_pickle = load_info_file(str(written(tmp_path, pickle.dumps(PLAIN))))
    assert from_json == from_pickle == PLAIN


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "value",
    [
        np.arange(12, dtype=np.float32).reshape(3, 4),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.zeros((0, 7)),
        np.array(["car", "truck"]),
        np.array([True, False]),
        np.float64(2.5),
        np.int64(-3),
        np.bool_(True),
        OrderedDict(a=1),
        b"bytes",
        b"",
    ],
    ids=lambda value: (
        f"{type(value).__name__}-{getattr(value, 'dtype', len(value) if hasattr(value, '__len__') else '')}"
    ),
)
def test_numpy_values_and_containers_survive_every_protocol(tmp_path, value, protocol):
    info = load_info_file(written(tmp_path, pickle.dumps(PLAIN | {"value": value}, protocol)))
    assert type(info["value"]) is type(value)
    np.testing.assert_array_equal(info["value"], value)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_runs_code_is_refused_before_it_runs(tmp_path, protocol):
    marker = tmp_path / "it_ran"
    content = pickle.dumps(PLAIN | {"x": Runs(os.mkdir, str(marker))}, protocol)
    path = written(tmp_path, content)
    with pytest.raises(InfoFileError, match=r"infos\.pkl cannot be read: it wants to load (posix|nt)\.mkdir"):
        load_info_file(path)
    assert not marker.exists()
    pickle.loads(content)
    assert marker.exists(), "the pickle would not have run anything anyway"


@pytest.mark.parametrize(
    "value",
    [
        Runs(codecs.encode, "abc", "rot13"),
        Runs(eval, "1 + 1"),
        Runs(getattr, {}, "keys"),
        Path("x"),
        np.random.default_rng,
    ],
    ids=["codec", "eval", "getattr", "path", "function"],
)
def test_anything_but_plain_data_is_refused(tmp_path, value):
    with pytest.raises(InfoFileError, match=r"infos\.pkl cannot be read: it wants to"):
        load_info_file(written(tmp_path, pickle.dumps(PLAIN | {"x": value})))


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_file_that_breaks_off_anywhere_is_reported_as_unreadable(tmp_path, protocol):
    content = pickle.dumps(PLAIN | {"x": np.arange(3.0)}, protocol)
    for end in range(len(content)):
        with pytest.raises(InfoFileError, match=r"infos\.pkl cannot be read"):
            load_info_file(written(tmp_path, content[:end]))


@QUICK
@given(st.binary(max_size=60))
def test_bytes_that_are_no_pickle_are_reported_as_such(tmp_path, content):
    with pytest.raises(InfoFileError, match=r"infos\.pkl"):
        load_info_file(written(tmp_path, content))


@pytest.mark.parametrize(
    "content", [b"garbage\n", b"(i1\n", b"version https://git-lfs.github.com/spec/v1\n", b"\x80\x09."]
)
def test_text_and_unknown_protocols_are_reported_as_unreadable(tmp_path, content):
    with pytest.raises(InfoFileError, match=r"infos\.pkl (cannot be read|is no pickle, or a damaged one)"):
        load_info_file(written(tmp_path, content))


@pytest.mark.parametrize("content", [json.dumps(PLAIN).encode()[:-5], b"", b"\xff\xfe\x00"])
def test_damaged_json_is_reported_as_unreadable(tmp_path, content):
    with pytest.raises(InfoFileError, match=r"infos\.json cannot be read"):
        load_info_file(written(tmp_path, content, "infos.json"))


def test_the_old_generation_is_told_from_the_new(tmp_path):
    with pytest.raises(InfoFileError, match=r"generation before mmdet3d 1\.0.*yaw negated.*'data_list'"):
        load_info_file(written(tmp_path, pickle.dumps({"infos": [], "metadata": {}})))


@pytest.mark.parametrize(
    ("content", "found"), [({"metainfo": {}}, r"\['metainfo'\]"), ([1, 2], "list"), (None, "NoneType")]
)
def test_another_layout_is_refused_with_what_was_found(tmp_path, content, found):
    with pytest.raises(
        InfoFileError, match=rf"infos\.pkl: expected a dict with 'metainfo' and 'data_list', found {found}"
    ):
        load_info_file(written(tmp_path, pickle.dumps(content)))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pkl does not exist; .* has no tables \(v1\.0-\*\)"):
        load_info_file(tmp_path / "nowhere.pkl")


def test_beside_tables_a_missing_file_is_one_to_make(tmp_path):
    (tmp_path / "v1.0-mini").mkdir()
    words = rf"does not exist; make it with tools/create_data\.py --root {tmp_path} --version v1\.0-mini$"
    with pytest.raises(FileNotFoundError, match=words):
        load_info_file(tmp_path / "nowhere.pkl")
    (tmp_path / "v1.0-test").mkdir()
    with pytest.raises(FileNotFoundError, match=r"--version v1\.0-mini or v1\.0-test$"):
        load_info_file(tmp_path / "nowhere.pkl")
