"""Ground-truth sampling takes objects of the key frames that the data set uses, and of no others."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mmcv.transforms import RandomApply
from mmdet.datasets import MultiImageMixDataset
from mmengine.dataset import ConcatDataset

from ponderv2.datasets import (
    GroundTruthSampling,
    LoadLidarSweeps,
    PonderCBGSDataset,
    PonderNuScenesDetDataset,
    derived_file,
)
from ponderv2.datasets.info_file import InfoFileError
from ponderv2.datasets.pipeline_transforms import PART
from ponderv2.datasets.transforms import gt_sampling
from ponderv2.errors import UserError
from tests.datasets.transforms.test_gt_sampling import a_sample
from tests.factories.gt_database import gt_object, write_gt_database
from tests.factories.keyframe import INFO_NAME

FRAMES, DRAWS = 10, 30


def place_of(number: int) -> float:
    """Where the objects of a key frame lie, so that one sees which frame they are from."""
    return 12.0 * number - 54


@pytest.fixture(params=["in memory", "in a file"])
def stored(request, monkeypatch) -> str:
    if request.param == "in a file":
        monkeypatch.setattr(derived_file, "SMALL_BYTES", 0)
    return request.param


def objects_of(number: int, token: str | None) -> list[dict]:
    car = [place_of(number), 30.0, -1.0, 4.0, 1.8, 1.6, 0.3]
    cone = [place_of(number), 50.0, -1.0, 0.5, 0.5, 1.0, 0.0]
    return [gt_object(name, box, sample_token=token) for name, box in (("car", car), ("traffic_cone", cone))]


@pytest.fixture
def root(frame_root: Path, tmp_path: Path) -> Path:
    """Ten key frames of the factory in one file, and split in two; a database of a car and a cone in each, and more."""
    for entry in frame_root.iterdir():
        if entry.is_dir():
            (tmp_path / entry.name).symlink_to(entry)
    info = pickle.loads((frame_root / INFO_NAME).read_bytes())
    (frame,) = info["data_list"]
    frames = [
        frame | {"token": f"at {k}", "scene_token": f"scene {k // 5}", "timestamp": float(k)} for k in range(FRAMES)
    ]
    for name, part in (("infos", frames), ("first", frames[:4]), ("second", frames[4:7])):
        (tmp_path / f"{name}.pkl").write_bytes(pickle.dumps(info | {"data_list": part}))
    write_database(tmp_path, [f"at {k}" for k in range(FRAMES)])
    return tmp_path


def write_database(root: Path, tokens: list[str | None]) -> None:
    objects = [entry for k, token in enumerate(tokens) for entry in objects_of(k, token)]
    write_gt_database(root / "nuscenes_gt_database_train", objects)


def sampling(root: Path) -> GroundTruthSampling:
    return GroundTruthSampling(data_root=str(root), groups={"car": 5, "traffic_cone": 5})


@pytest.fixture
def opened(root: Path) -> Callable[..., PonderNuScenesDetDataset]:
    def open_dataset(transform: object = None, **options) -> PonderNuScenesDetDataset:
        pipeline = [sampling(root) if transform is None else transform]
        return PonderNuScenesDetDataset(
            data_root=str(root), **{"ann_file": "infos.pkl", "pipeline": pipeline} | options
        )

    return open_dataset


def used(dataset) -> set[str]:
    return {dataset.get_data_info(k)["token"] for k in range(len(dataset))}


def drawn(transform: Callable, draws: int = DRAWS) -> set[str]:
    """Tokens of the frames whose objects are added, over many draws."""
    places = {round(place_of(k)): f"at {k}" for k in range(FRAMES + 1)}
    found = set()
    for seed in range(draws):
        np.random.seed(seed)
        for x in transform(a_sample())["gt_bboxes_3d"].gravity_center[:, 0].tolist():
            found.add(places[round(x)])
    return found


def transform_of(dataset: PonderNuScenesDetDataset) -> GroundTruthSampling:
    return dataset.pipeline.transforms[0]


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    "options",
    [
        {"fraction": 0.3},
        {"fraction": 0.3, "fraction_seed": 1},
        {"fraction": 0.5, "fraction_by": "scenes"},
        {"load_interval": 3},
        {"fraction": 0.6, "load_interval": 2},
        {"indices": 4},
        {"indices": [1, 8]},
        {"ann_file": ["first.pkl", "second.pkl"]},
        {"ann_file": ["first.pkl", "second.pkl"], "fraction": 0.5},
        {"lazy_init": True, "fraction": 0.3},
    ],
    ids=str,
)
def test_over_many_draws_just_the_frames_of_the_data_set_are_seen(opened, options):
    dataset = opened(**options)
    assert 0 < len(used(dataset)) < FRAMES
    assert drawn(transform_of(dataset)) == used(dataset)


def test_with_all_frames_all_objects_are_used(opened):
    assert drawn(transform_of(opened())) == {f"at {k}" for k in range(FRAMES)}


def test_objects_of_frames_that_no_info_file_has_are_not_used(opened, root):
    write_database(root, [f"at {k}" for k in range(FRAMES)] + ["of another split"])
    assert drawn(sampling(root), 60) == {f"at {k}" for k in range(FRAMES + 1)}
    assert drawn(transform_of(opened()), 60) == {f"at {k}" for k in range(FRAMES)}


def test_samples_of_a_fraction_contain_its_own_objects_alone(opened, root):
    class Boxes:
        def __call__(self, results: dict) -> dict:
            ann = results["ann_info"]
            return results | {"gt_bboxes_3d": ann["gt_bboxes_3d"], "gt_labels_3d": ann["gt_labels_3d"]}

    dataset = opened(pipeline=[LoadLidarSweeps(), Boxes(), sampling(root)], fraction=0.2)
    allowed = {round(place_of(int(token.split()[1]))) for token in used(dataset)}
    added = set()
    for draw in range(DRAWS):
        np.random.seed(draw)
        boxes = dataset[draw % 2]["gt_bboxes_3d"].gravity_center
        added |= {round(x) for x, y, _ in boxes.tolist() if y > 20}
    assert added == allowed


def test_balanced_classes_and_other_wrappers_change_nothing(opened):
    inner = opened(fraction=0.3)
    balanced = PonderCBGSDataset(inner)
    assert drawn(transform_of(balanced.dataset)) == used(balanced) == used(inner)
    balanced = PonderCBGSDataset(opened(fraction=0.3, lazy_init=True), lazy_init=True)
    balanced.full_init()
    assert drawn(transform_of(balanced.dataset)) == used(inner)
    both = ConcatDataset([opened(fraction=0.3), opened(fraction=0.3, fraction_seed=1)])
    for part in both.datasets:
        assert drawn(transform_of(part)) == used(part)


def test_wrapped_transforms_are_told_as_well(opened, root):
    inner = sampling(root)
    dataset = opened(RandomApply([inner], prob=1.0), load_interval=5)
    assert drawn(inner) == used(dataset) == {"at 0", "at 5"}


def test_a_subset_narrows_its_own_copy(opened):
    dataset = opened(load_interval=2)
    subset = dataset.get_subset([0, 1])
    assert drawn(transform_of(subset)) == used(subset) == {"at 0", "at 2"}
    assert drawn(transform_of(dataset)) == used(dataset) == {f"at {k}" for k in (0, 2, 4, 6, 8)}
    dataset.get_subset_(-2)
    assert drawn(transform_of(dataset)) == used(dataset) == {"at 6", "at 8"}


def test_without_a_data_set_the_whole_database_is_used(root):
    assert drawn(sampling(root)) == {f"at {k}" for k in range(FRAMES)}


@pytest.mark.parametrize("again", [copy.deepcopy, lambda dataset: pickle.loads(pickle.dumps(dataset))])
def test_copies_for_workers_stay_narrow(opened, stored, again):
    dataset = again(opened(fraction=0.3))
    assert drawn(transform_of(dataset)) == used(dataset)
    if stored == "in a file":
        assert len(pickle.dumps(transform_of(dataset).tables)) < 2000


@pytest.mark.parametrize("tokens", [[None] * FRAMES, ["at 0"] + [None] * (FRAMES - 1)], ids=["none", "some without"])
@pytest.mark.parametrize("options", [{"fraction": 0.3}, {"load_interval": 2}], ids=str)
def test_a_database_that_does_not_know_its_frames_is_refused_for_some_of_them(opened, root, tokens, options):
    write_database(root, tokens)
    with pytest.raises(
        UserError,
        match=r"nuscenes_gt_database_train: .*\(key sample_token\), and [35] key frames are used alone; .*anew",
    ):
        opened(**options)
    assert len(drawn(transform_of(opened()))) == FRAMES


def test_frames_without_tokens_are_refused_where_they_are_needed(opened, root):
    info = pickle.loads((root / "infos.pkl").read_bytes())
    del info["data_list"][4]["token"]
    (root / "infos.pkl").write_bytes(pickle.dumps(info))
    with pytest.raises(InfoFileError, match=r"infos\.pkl: GroundTruthSampling takes from .*1 of 5 have no token"):
        opened(load_interval=2)
    assert len(drawn(transform_of(opened()))) == FRAMES


def test_what_is_left_is_logged_and_nothing_left_is_no_error(opened, root, monkeypatch):
    said = []
    monkeypatch.setattr(gt_sampling, "print_log", lambda message, **options: said.append((message, options["level"])))
    opened(load_interval=2)
    assert "10 of 20 objects of" in said[-1][0]
    assert "those of the 5 key frames that are used" in said[-1][0]
    write_database(root, ["of another split"] * 3)
    dataset = opened()
    assert "0 of 6 objects of" in said[-1][0]
    assert said[-1][0].endswith("; none is left of car, traffic_cone")
    assert said[-1][1] == gt_sampling.WARNING
    assert drawn(transform_of(dataset)) == set()


def test_a_damaged_index_is_named(root):
    index = root / "nuscenes_gt_database_train" / "index.pkl"
    for content in (index.read_bytes()[:-40], b"", pickle.dumps({"objects": {}}), pickle.dumps([1])):
        index.write_bytes(content)
        with pytest.raises(UserError, match=r"index\.pkl is no index of a ground-truth database: .*; make it anew"):
            sampling(root)
    entry = gt_object("car", [0.0] * 7)
    del entry["num_points"]
    index.write_bytes(pickle.dumps({"metainfo": {"lidar_files": {}}, "objects": {"car": [entry]}}))
    with pytest.raises(UserError, match=r"index\.pkl: an object of class car is not as expected: KeyError"):
        sampling(root)


@pytest.mark.parametrize("options", [{"fraction": 0.5}, {"load_interval": 2}, {"indices": 3}], ids=str)
def test_in_the_pipeline_of_a_wrapper_it_notices_that_it_was_not_told(root, options):
    def wrapped(**options) -> MultiImageMixDataset:
        inner = PonderNuScenesDetDataset(
            data_root=str(root), ann_file="infos.pkl", pipeline=[LoadLidarSweeps(), boxes_of], **options
        )
        transform = {"type": GroundTruthSampling, "data_root": str(root), "groups": {"car": 9}}
        return MultiImageMixDataset(inner, [transform])

    with pytest.raises(UserError, match=r"infos\.pkl, key frame at .*: its data set uses a part .*does not know which"):
        wrapped(**options)[0]
    assert len(wrapped()[0]["gt_bboxes_3d"]) > 3


def boxes_of(results: dict) -> dict:
    return results | {key: results["ann_info"][key] for key in ("gt_bboxes_3d", "gt_labels_3d")}


def test_a_subset_of_all_frames_is_a_part(opened):
    whole = opened()
    assert PART not in whole.get_data_info(0)
    assert whole.get_subset([1, 2]).get_data_info(0)[PART]
    whole.get_subset_(2)
    assert whole.get_data_info(0)[PART]
