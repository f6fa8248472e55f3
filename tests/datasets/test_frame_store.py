"""Key frames come out of their store as they are in the info file, and a store that is not as expected is refused."""

import io
import json
import math
import os
import pickle
import zlib
from pathlib import Path

import numpy as np
import pytest

from ponderv2.datasets import FramesByToken, FrameStore, build_frame_store, derived_file, load_info_file
from ponderv2.datasets import frame_store as module
from ponderv2.datasets.frame_store import open_frame_store
from ponderv2.datasets.info_file import InfoFileError
from ponderv2.datasets.mapped_arrays import ArrayWriter, MappedArrays
from tests.datasets.test_info_file import Runs


def frame(number: int, **more) -> dict:
    return {
        "token": f"token {number}",
        "timestamp": 10.0 - number,
        "pose": [[1.0, 0.5], [0.0, number]],
        "instances": [{"bbox_label_3d": k, "num_lidar_pts": 10 * k, "bbox_3d_isvalid": k > 0} for k in range(number)],
    } | more


def info(*frames: dict) -> dict:
    return {"metainfo": {"version": "v1.0-mini", "categories": {"car": 0}}, "data_list": list(frames)}


def written(folder: Path, content: dict, name: str = "infos.pkl") -> Path:
    path = folder / name
    path.write_bytes(json.dumps(content).encode() if path.suffix == ".json" else pickle.dumps(content))
    return path


@pytest.fixture(params=["in memory", "in a file"])
def _place(request, monkeypatch) -> None:
    """A test that uses it runs with stores of either kind."""
    if request.param == "in a file":
        monkeypatch.setattr(derived_file, "SMALL_BYTES", 0)


@pytest.mark.usefixtures("_place")
@pytest.mark.parametrize("name", ["infos.pkl", "infos.json"])
def test_frames_and_metainfo_are_those_of_the_info_file(tmp_path, name):
    path = written(tmp_path, info(*map(frame, range(4))), name)
    store, expected = open_frame_store(path), load_info_file(path)
    assert len(store) == 4
    assert [store.frame(k) for k in range(4)] == expected["data_list"]
    assert store.metainfo == expected["metainfo"]
    with pytest.raises(IndexError):
        store.frame(4)


@pytest.mark.usefixtures("_place")
def test_values_of_stock_files_keep_their_types(tmp_path):
    values = {
        "matrix": np.arange(16, dtype=np.float32).reshape(4, 4),
        "points": np.int64(3),
        "valid": np.bool_(True),
        "velocity": [math.nan, None],
        "size": (900, 1600),
        "by_number": {1: b"one"},
    }
    found = open_frame_store(written(tmp_path, info(frame(0) | values))).frame(0)
    for key, expected in values.items():
        assert type(found[key]) is type(expected)
        np.testing.assert_equal(found[key], expected)
    assert found["matrix"].dtype == np.float32


def test_each_call_gives_a_frame_of_its_own(tmp_path):
    store = open_frame_store(written(tmp_path, info(frame(1))))
    store.frame(0)["pose"][0][0] = 7.0
    store.metainfo["version"] = "other"
    assert store.frame(0) == frame(1)
    assert store.metainfo["version"] == "v1.0-mini"


@pytest.mark.usefixtures("_place")
def test_columns_tell_of_frames_and_their_objects(tmp_path):
    frames = [frame(2, scene_token="scene"), {"sample_idx": 1}, frame(1) | {"instances": [{}]}]
    store = open_frame_store(written(tmp_path, info(*frames)))
    assert store.timestamps.tolist() == [8.0, 0.0, 9.0]
    assert store.tokens.tolist() == [b"token 2", b"", b"token 1"]
    assert store.scene_tokens.tolist() == [b"scene", b"", b""]
    assert store.instances_per_frame().tolist() == [2, 0, 1]
    assert store.instances(0).labels.tolist() == [0, 1]
    assert store.instances(0).lidar_points.tolist() == [0, 10]
    assert store.instances(0).valid.tolist() == [False, True]
    assert len(store.instances(1).labels) == 0
    assert store.instances(2).labels.tolist() == [-1]
    assert store.instances().labels.tolist() == [0, 1, -1]


def test_frames_with_the_same_keys_at_any_depth_have_the_same_layout(tmp_path):
    deep = {"images": {"CAM_FRONT": {"img_path": "a"}}}
    frames = [frame(1), frame(2), frame(1, extra=0), frame(1) | deep, frame(2) | deep]
    frames.append(frame(1) | {"images": {"CAM_FRONT": {}}})
    assert open_frame_store(written(tmp_path, info(*frames))).layouts.tolist() == [0, 0, 1, 2, 2, 3]


def test_frames_are_found_by_token(tmp_path):
    frames = FramesByToken(open_frame_store(written(tmp_path, info(frame(2), frame(1)))))
    assert list(frames) == ["token 2", "token 1"]
    assert frames["token 1"] == frame(1)
    assert "token 3" not in frames
    with pytest.raises(InfoFileError, match=r"infos\.pkl: key frame 1 has no token"):
        FramesByToken(open_frame_store(written(tmp_path, info(frame(2), {}))))


def test_the_store_of_an_info_file_can_be_made_ahead(tmp_path, monkeypatch):
    path = written(tmp_path, info(frame(1)))
    assert build_frame_store(path) is None, "small info files need none"
    monkeypatch.setattr(derived_file, "SMALL_BYTES", 0)
    assert build_frame_store(path) == tmp_path / "infos.pkl.frames"
    # A file that is there is opened without reading the info file.
    monkeypatch.setattr(module, "parse_info_file", None)
    assert open_frame_store(path).frame(0) == frame(1)


def test_a_pickle_of_a_store_names_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr(derived_file, "SMALL_BYTES", 0)
    store = open_frame_store(written(tmp_path, info(*[frame(40)] * 100)))
    content = pickle.dumps(store)
    assert len(content) < 1000
    assert pickle.loads(content).frame(99) == store.frame(99)


def nested(depth: int) -> dict:
    return {"deeper": nested(depth - 1)} if depth else {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (info([1]), r"key frame 0: it is a list, expected a dict"),
        (info(frame(0) | {"timestamp": "noon"}), r"key frame token 0: timestamp: could not convert"),
        (info(frame(1) | {"instances": [{"bbox_label_3d": "car"}]}), r"key frame token 1: bbox_label_3d: invalid"),
        (info(frame(1) | {"instances": ["car"]}), r"key frame token 1: bbox_label_3d: 'str' object"),
        (info(frame(1) | {"instances": [{"num_lidar_pts": 10**12}]}), r"out of range"),
        ({"metainfo": {}, "data_list": {}}, r"data_list is a dict, expected a list"),
        ({"metainfo": [], "data_list": []}, r"metainfo is a list, expected a dict"),
        (info(frame(0) | {"deep": nested(400)}), r"key frame token 0: maximum recursion depth exceeded"),
        ({"metainfo": {}}, r"expected a dict with 'metainfo' and 'data_list'"),
    ],
)
def test_what_is_wrong_in_an_info_file_is_named(tmp_path, content, message):
    with pytest.raises(InfoFileError, match=rf"infos\.pkl.*{message}"):
        open_frame_store(written(tmp_path, content))


def store_with(entries: list[bytes], **changed: np.ndarray) -> FrameStore:
    """A store of one frame without objects whose bytes and columns are given, so that it passes for a whole one."""
    out = io.BytesIO()
    writer, ends = ArrayWriter(out), []
    for entry in entries:
        writer.append(entry)
        ends.append(writer.size)
    columns = {name: np.zeros(0, dtype=dtype) for name, dtype in module._COLUMNS.items()}
    columns |= {name: np.zeros(1, dtype=columns[name].dtype) for name in ("timestamps", "layouts", "instance_ends")}
    columns |= {name: np.zeros((1, 4), dtype=np.uint8) for name in ("tokens", "scene_tokens")}
    writer.finish(columns | {"ends": np.array(ends)} | changed, {})
    return FrameStore(Path("infos.pkl"), MappedArrays(out.getvalue()))


def packed(value: object) -> bytes:
    return zlib.compress(pickle.dumps(value))


def test_a_store_cannot_run_code(tmp_path):
    marker = tmp_path / "it_ran"
    store = store_with([packed(Runs(os.mkdir, str(marker))), packed({})])
    with pytest.raises(InfoFileError, match=r"infos\.pkl: entry 0 of .*it wants to load (posix|nt)\.mkdir"):
        store.frame(0)
    assert not marker.exists()


@pytest.mark.parametrize(
    "entry",
    [b"", b"text", packed([1] * 50)[:-3], zlib.compress(b"text"), packed([1])],
    ids=["none", "text", "cut", "no pickle", "a list"],
)
def test_an_entry_that_is_damaged_is_named(entry):
    with pytest.raises(InfoFileError, match=r"infos\.pkl: entry 0 of .* cannot be read: .*; delete that file"):
        store_with([entry, packed({})]).frame(0)


def test_an_entry_that_becomes_far_too_large_is_refused(monkeypatch):
    store = store_with([packed({"zeros": b"0" * 10**6}), packed({})])
    assert len(store.frame(0)["zeros"]) == 10**6
    monkeypatch.setattr(module, "_MAX_ENTRY", 10**5)
    with pytest.raises(InfoFileError, match="far too large"):
        store.frame(0)


@pytest.mark.parametrize(
    "changed",
    [
        {"ends": np.array([5, 10**6])},
        {"ends": np.array([9, 5])},
        {"ends": np.array([-9, 5])},
        {"ends": np.array([5])},
        {"ends": np.array([5.0, 9.0])},
        {"instance_ends": np.array([3])},
        {"instance_ends": np.array([-1])},
        {"labels": np.zeros(3, dtype=np.int32)},
        {"timestamps": np.zeros(2)},
        {"tokens": np.zeros((1, 0), dtype=np.uint8)},
        {"tokens": np.zeros(1, dtype=np.uint8)},
    ],
    ids=str,
)
def test_columns_that_lead_outside_are_refused(changed):
    with pytest.raises(InfoFileError, match=r"is no store of key frames: \['"):
        store_with([packed({}), packed({})], **changed)


@pytest.mark.parametrize(
    "forged", [{"layouts": np.zeros(2)}, {"instance_ends": np.array([7, 9])}], ids=["type", "ends"]
)
def test_a_store_on_the_disk_that_contradicts_itself_is_made_anew(tmp_path, monkeypatch, forged):
    monkeypatch.setattr(derived_file, "SMALL_BYTES", 0)
    path = written(tmp_path, info(frame(1), frame(2)))
    place = build_frame_store(path)
    found = MappedArrays(place)
    with (tmp_path / "forged").open("wb") as out:
        writer = ArrayWriter(out)
        writer.append(found["stream"].tobytes())
        arrays = {name: array for name, array in found.items() if name != "stream"}
        writer.finish(arrays | forged, found.metadata)
    (tmp_path / "forged").replace(place)
    store = open_frame_store(path)
    assert [store.frame(0), store.frame(1)] == [frame(1), frame(2)]
    monkeypatch.setattr(module, "parse_info_file", None)
    assert open_frame_store(path).frame(1) == frame(2)
