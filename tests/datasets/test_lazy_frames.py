"""A data set holds no key frames, and gives the same samples as if it held them all."""

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ponderv2.datasets import (
    DETECTION_CLASSES,
    FrameStore,
    PonderCBGSDataset,
    PonderNuScenesDataset,
    PonderNuScenesDetDataset,
    derived_file,
)
from ponderv2.datasets.info_file import InfoFileError
from tests.factories.keyframe import INFO_NAME

KINDS = [PonderNuScenesDataset, PonderNuScenesDetDataset]
TIMES = [3, 1, 2, 5, 4, 0]


@pytest.fixture(params=["in memory", "in a file"], autouse=True)
def _place(request, monkeypatch) -> None:
    """Every test runs with stores of either kind."""
    if request.param == "in a file":
        monkeypatch.setattr(derived_file, "SMALL_BYTES", 0)


@pytest.fixture
def info(frame_root: Path) -> dict:
    """Six key frames, not in the order of time, with different boxes."""
    content = pickle.loads((frame_root / INFO_NAME).read_bytes())
    (frame,) = content["data_list"]
    rng = np.random.default_rng(0)
    content["data_list"] = [
        copy.deepcopy(frame)
        | {
            "timestamp": float(time),
            "token": f"at {time}",
            "instances": [
                frame["instances"][0]
                | {
                    "bbox_label_3d": int(rng.integers(-1, 10)),
                    "num_lidar_pts": int(rng.integers(0, 4)),
                    "bbox_3d_isvalid": bool(rng.integers(0, 2)),
                }
                for _ in range(6 + time)
            ],
        }
        for time in TIMES
    ]
    return content


@pytest.fixture
def opened(info: dict, tmp_path: Path) -> Callable:
    """Opens the info file as it is then."""

    def open_dataset(kind: type = PonderNuScenesDataset, **options):
        (tmp_path / "infos.pkl").write_bytes(pickle.dumps(info))
        return kind(data_root=str(tmp_path), ann_file="infos.pkl", **{"pipeline": []} | options)

    return open_dataset


def tokens(dataset) -> list[str]:
    return [dataset.get_data_info(k)["token"] for k in range(len(dataset))]


def as_text(value: object) -> str:
    return json.dumps(value, default=lambda other: np.asarray(getattr(other, "tensor", other)).tolist())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("test_mode", [False, True])
def test_every_sample_is_what_its_entry_is_parsed_to(opened, info, kind, test_mode):
    dataset = opened(kind, test_mode=test_mode)
    entries = sorted(info["data_list"], key=lambda entry: entry["timestamp"])
    assert len(dataset) == 6
    for index, entry in enumerate(entries):
        expected = dataset.parse_data_info(entry) | {"sample_idx": index}
        assert as_text(dataset.get_data_info(index)) == as_text(expected)
        assert as_text(dataset.get_data_info(index - 6)) == as_text(expected)
    with pytest.raises(IndexError):
        dataset.get_data_info(6)


def test_opening_decodes_one_frame_of_each_set_of_keys(opened, info, monkeypatch):
    decoded = []
    original = FrameStore.frame
    monkeypatch.setattr(FrameStore, "frame", lambda self, place: decoded.append(place) or original(self, place))
    for frame in info["data_list"][4:]:
        del frame["lidar_sweeps"]
    dataset = opened(PonderNuScenesDetDataset)
    # The first in time that has sweeps, and the first that has none.
    assert decoded == [5, 1]
    PonderCBGSDataset(dataset)
    assert decoded == [5, 1]


@pytest.mark.parametrize("key", ["num_lidar_pts", "bbox_3d"])
def test_a_key_that_boxes_lack_is_named_at_the_start(opened, info, key):
    del info["data_list"][3]["instances"][2][key]
    with pytest.raises(InfoFileError, match=rf"infos\.pkl, key frame at 5: key '{key}' is missing"):
        opened(PonderNuScenesDetDataset)


def test_a_value_that_cannot_be_used_is_named_with_its_frame_when_that_is_read(opened, info):
    info["data_list"][3]["images"]["CAM_FRONT"]["img_path"] = 7
    dataset = opened(PonderNuScenesDetDataset)
    assert dataset.get_data_info(0)["token"] == "at 0"
    with pytest.raises(InfoFileError, match=r"infos\.pkl, key frame at 5: .*int.*expected the keys and values"):
        dataset.get_data_info(5)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (PonderNuScenesDetDataset, {}),
        (PonderNuScenesDetDataset, {"use_valid_flag": False}),
        (PonderNuScenesDetDataset, {"min_lidar_points": 2}),
        (PonderNuScenesDetDataset, {"use_valid_flag": False, "min_lidar_points": 3}),
        (PonderNuScenesDetDataset, {"metainfo": {"classes": ("trailer", "car", "barrier")}}),
        (PonderNuScenesDataset, {}),
        (PonderNuScenesDataset, {"use_valid_flag": True}),
        (PonderNuScenesDataset, {"metainfo": {"classes": ("trailer", "car", "barrier")}}),
    ],
)
def test_labels_and_counts_from_columns_are_those_of_the_parsed_boxes(opened, kind, options):
    dataset = opened(kind, **options)
    boxes = [dataset.get_data_info(k)["ann_info"]["gt_labels_3d"].tolist() for k in range(6)]
    assert [dataset.get_cat_ids(k) for k in range(6)] == [set(labels) for labels in boxes]
    if kind is PonderNuScenesDetDataset:
        flat = [label for labels in boxes for label in labels]
        assert dataset.num_ins_per_cat == [flat.count(label) for label in range(len(dataset.metainfo["classes"]))]


def test_mmdet3d_counts_boxes_before_it_leaves_any_out(opened, info):
    labels = [instance["bbox_label_3d"] for frame in info["data_list"] for instance in frame["instances"]]
    dataset = opened(PonderNuScenesDataset)
    assert dataset.num_ins_per_cat == [labels.count(label) for label in range(len(DETECTION_CLASSES))]


@pytest.mark.parametrize("kind", KINDS)
def test_reading_samples_does_not_count_their_boxes_again(opened, kind):
    dataset = opened(kind)
    before = list(dataset.num_ins_per_cat)
    tokens(dataset)
    assert dataset.num_ins_per_cat == before


@pytest.mark.parametrize(
    ("indices", "expected"),
    [(2, ["at 0", "at 1"]), (-2, ["at 4", "at 5"]), ([4, 0, 4], ["at 4", "at 0", "at 4"]), ([-1], ["at 5"]), ([], [])],
)
def test_subsets_have_the_frames_that_are_asked_for(opened, indices, expected):
    dataset = opened()
    subset = dataset.get_subset(indices)
    assert tokens(subset) == expected
    assert tokens(dataset) == [f"at {time}" for time in range(6)]
    assert tokens(opened(indices=indices)) == expected
    dataset.get_subset_(indices)
    assert tokens(dataset) == expected


def test_a_subset_is_parsed_by_itself(opened):
    dataset = opened(PonderNuScenesDetDataset)
    subset = dataset.get_subset(3)
    subset.min_lidar_points = 99
    assert len(subset.get_data_info(2)["ann_info"]["gt_labels_3d"]) == 0
    assert len(dataset.get_data_info(2)["ann_info"]["gt_labels_3d"]) > 0


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda dataset: pickle.loads(pickle.dumps(dataset))])
def test_copies_and_pickles_give_the_same_samples(opened, again):
    dataset = opened(PonderNuScenesDetDataset, fraction=0.7)
    other = again(dataset)
    assert [as_text(other.get_data_info(k)) for k in range(len(other))] == [
        as_text(dataset.get_data_info(k)) for k in range(len(dataset))
    ]


def test_a_deep_copy_is_parsed_by_itself(opened):
    dataset = opened(PonderNuScenesDetDataset)
    other = copy.deepcopy(dataset)
    dataset.min_lidar_points = 99
    assert len(other.get_data_info(2)["ann_info"]["gt_labels_3d"]) > 0


@pytest.mark.parametrize("serialize_data", [True, False])
def test_mmengine_makes_no_copy_of_its_own(opened, serialize_data):
    dataset = opened(serialize_data=serialize_data)
    assert not hasattr(dataset, "data_bytes")
    assert tokens(dataset) == [f"at {time}" for time in range(6)]


def test_initialisation_can_wait_until_the_first_sample(opened, monkeypatch):
    opened_files = []
    original = PonderNuScenesDataset.load_data_list
    monkeypatch.setattr(PonderNuScenesDataset, "load_data_list", lambda self: opened_files.append(1) or original(self))
    dataset = opened(PonderNuScenesDetDataset, lazy_init=True)
    assert not opened_files
    assert dataset[2]["token"] == "at 2"
    assert dataset.get_cat_ids(2) == set(dataset[2]["ann_info"]["gt_labels_3d"].tolist())
    assert len(opened_files) == 1


def test_a_subclass_may_filter_parsed_frames(opened):
    class WithManyBoxes(PonderNuScenesDetDataset):
        def filter_data(self) -> list[dict]:
            return [frame for frame in self.data_list if len(frame["instances"]) > 8]

    dataset = opened(WithManyBoxes)
    assert tokens(dataset) == ["at 3", "at 4", "at 5"]
    dataset.get_data_info(0)["images"].clear()
    assert dataset.get_data_info(0)["images"]
    assert tokens(dataset.get_subset([2, 0])) == ["at 5", "at 3"]
    assert dataset.get_cat_ids(1) == set(dataset[1]["ann_info"]["gt_labels_3d"].tolist())


def test_frames_of_several_files_lie_in_one_order(info, tmp_path):
    for name, part in (("infos.pkl", slice(0, 3)), ("more.json", slice(3, 6))):
        content = info | {"data_list": info["data_list"][part]}
        dump = json.dumps(content).encode() if name.endswith("json") else pickle.dumps(content)
        (tmp_path / name).write_bytes(dump)
    dataset = PonderNuScenesDetDataset(data_root=str(tmp_path), ann_file=["infos.pkl", "more.json"], pipeline=[])
    assert tokens(dataset) == [f"at {time}" for time in range(6)]
    assert dataset.get_data_info(5)["info_name"] == "more.json, key frame at 5"
    boxes = [dataset.get_data_info(k)["ann_info"]["gt_labels_3d"].tolist() for k in range(6)]
    assert [dataset.get_cat_ids(k) for k in range(6)] == [set(labels) for labels in boxes]
    assert sum(dataset.num_ins_per_cat) == sum(map(len, boxes))
