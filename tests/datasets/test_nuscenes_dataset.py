"""Key frames in the order of time, with joined paths, and errors that name the key."""

import copy
import pickle
from pathlib import Path

import pytest

from ponderv2.datasets import LoadCameras, LoadLidarSweeps, PonderNuScenesDataset, PonderNuScenesDetDataset
from ponderv2.datasets.info_file import InfoFileError
from ponderv2.errors import UserError
from tests.factories.keyframe import CAMERAS, INFO_NAME


@pytest.fixture
def info(frame_root: Path) -> dict:
    """Content of the info file, to be changed."""
    return pickle.loads((frame_root / INFO_NAME).read_bytes())


def open_dataset(folder: Path, info: dict, **kwargs) -> PonderNuScenesDataset:
    folder.mkdir(exist_ok=True)
    (folder / "infos.pkl").write_bytes(pickle.dumps(info))
    return PonderNuScenesDataset(data_root=str(folder), ann_file="infos.pkl", pipeline=[], **kwargs)


def with_times(info: dict, times: list[float]) -> dict:
    frames = [copy.deepcopy(info["data_list"][0]) | {"timestamp": t, "token": f"at {t:g}"} for t in times]
    return info | {"data_list": frames}


def tokens(dataset: PonderNuScenesDataset) -> list[str]:
    return [dataset.get_data_info(k)["token"] for k in range(len(dataset))]


def paths(frame: dict) -> list[str]:
    images = [frame["images"][name]["img_path"] for name in CAMERAS]
    sweeps = [sweep["lidar_points"]["lidar_path"] for sweep in frame["lidar_sweeps"]]
    return [*images, frame["lidar_points"]["lidar_path"], *sweeps]


def test_key_frames_come_in_the_order_of_time(tmp_path, info):
    dataset = open_dataset(tmp_path, with_times(info, [3, 1, 2, 5, 4]))
    assert tokens(dataset) == ["at 1", "at 2", "at 3", "at 4", "at 5"]


@pytest.mark.parametrize(
    ("interval", "expected"), [(2, ["at 1", "at 3", "at 5"]), (4, ["at 1", "at 5"]), (9, ["at 1"])]
)
def test_every_nth_key_frame_in_time_is_taken(tmp_path, info, interval, expected):
    dataset = open_dataset(tmp_path, with_times(info, [3, 1, 2, 5, 4]), load_interval=interval)
    assert tokens(dataset) == expected


def test_every_path_leads_to_a_file(dataset, frame):
    assert len(paths(frame)) == 9
    assert all(Path(path).is_file() for path in paths(frame))
    assert Path(frame["images"]["CAM_BACK"]["img_path"]).parent.name == "CAM_BACK"
    assert Path(frame["lidar_sweeps"][1]["lidar_points"]["lidar_path"]).parts[-3:-1] == (
        "sweeps",
        "LIDAR_TOP",
    )


def test_loading_again_gives_the_same_paths(dataset, frame, info):
    again = PonderNuScenesDataset(data_root=dataset.data_root, ann_file=INFO_NAME, pipeline=[])
    assert paths(again.get_data_info(0)) == paths(frame)
    assert paths(dataset.get_data_info(0)) == paths(frame)


def test_parsing_leaves_the_info_as_it_is(dataset, info):
    raw = info["data_list"][0]
    before = copy.deepcopy(raw)
    first = dataset.parse_data_info(raw)
    assert raw == before
    assert paths(dataset.parse_data_info(raw)) == paths(first)


def test_a_pipeline_may_change_a_frame_and_gets_it_whole_again(dataset):
    def empty(frame: dict) -> dict:
        found = {name: copy.deepcopy(value) for name, value in frame.items()}
        for value in frame.values():
            if isinstance(value, dict | list):
                value.clear()
        return found

    dataset.pipeline.transforms = [empty]
    first, second = dataset[0], dataset[0]
    assert len(first["images"]) == 6
    assert first["ann_info"]
    assert paths(first) == paths(second)
    assert first["instances"] == second["instances"] != []


def test_an_unknown_camera_is_named_with_the_known_ones(tmp_path, info):
    frame = info["data_list"][0]
    frame["images"]["CAM_ROOF"] = frame["images"]["CAM_FRONT"]
    with pytest.raises(
        InfoFileError, match=r"key frame factory: .*\['CAM_ROOF'\]; known are \['CAM_BACK', .*data_prefix"
    ):
        open_dataset(tmp_path, info)


def test_a_missing_lidar_path_is_named(tmp_path, info):
    del info["data_list"][0]["lidar_points"]["lidar_path"]
    with pytest.raises(InfoFileError, match=r"infos\.pkl, key frame factory: lidar_points\.lidar_path is missing"):
        open_dataset(tmp_path, info)


def test_an_info_file_without_key_frames_is_refused(tmp_path, info):
    with pytest.raises(InfoFileError, match=r"infos\.pkl has no key frames"):
        open_dataset(tmp_path, info | {"data_list": []})


def test_frames_without_boxes_are_kept(tmp_path, info):
    del info["data_list"][0]["instances"]
    dataset = open_dataset(tmp_path, info)
    assert dataset[0]["token"] == "factory"
    assert len(dataset[0]["ann_info"]["gt_bboxes_3d"]) == 0


def test_boxes_carry_centre_size_heading_and_velocity(frame):
    boxes = frame["ann_info"]["gt_bboxes_3d"]
    assert boxes.gravity_center[0].tolist() == pytest.approx([8.0, 5.0, -1.0])
    assert boxes.tensor[0, 3:].tolist() == pytest.approx([4.6, 1.9, 1.6, 0.4, 1.0, 0.5])


def test_metainfo_of_the_config_wins_over_the_file(tmp_path, info):
    info["metainfo"]["classes"] = ["of the file"]
    info["metainfo"]["info_version"] = "1.1"
    dataset = open_dataset(tmp_path, info)
    assert "car" in dataset.metainfo["classes"]
    assert dataset.metainfo["info_version"] == "1.1"


def test_two_info_files_are_one_data_set_in_the_order_of_time(tmp_path, info):
    (tmp_path / "more.pkl").write_bytes(pickle.dumps(with_times(info, [2, 6])))
    (tmp_path / "infos.pkl").write_bytes(pickle.dumps(with_times(info, [1, 4])))
    dataset = PonderNuScenesDataset(data_root=str(tmp_path), ann_file=("infos.pkl", "more.pkl"), pipeline=[])
    assert tokens(dataset) == ["at 1", "at 2", "at 4", "at 6"]
    assert dataset.get_data_info(1)["info_name"].startswith("more.pkl, key frame at 2")


def test_two_info_files_of_different_versions_are_refused(tmp_path, info):
    (tmp_path / "infos.pkl").write_bytes(pickle.dumps(info))
    other = info | {"metainfo": info["metainfo"] | {"version": "v1.0-test"}}
    (tmp_path / "other.pkl").write_bytes(pickle.dumps(other))
    with pytest.raises(InfoFileError, match=r"other\.pkl is of version v1\.0-test, .*infos\.pkl of v1\.0-mini"):
        PonderNuScenesDataset(data_root=str(tmp_path), ann_file=["infos.pkl", "other.pkl"], pipeline=[])


def singular(frame: dict) -> None:
    frame["images"]["CAM_BACK"]["lidar2cam"] = [[1.0] * 4] * 4


def flat_sweep(frame: dict) -> None:
    frame["lidar_sweeps"][0]["lidar_points"]["lidar2sensor"] = [[0.0] * 4] * 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f["instances"][1].update(bbox_3d=[1.0, 2.0]), r"bbox_3d|inhomogeneous"),
        (lambda f: f["instances"][1].update(velocity="fast"), r"velocity|convert string|inhomogeneous"),
        (lambda f: f["instances"][1].update(bbox_3d=[10**400] * 7), r"bbox_3d|too large"),
        (singular, r"images\.CAM_BACK\.lidar2cam: expected a matrix that can be inverted"),
        (flat_sweep, r"lidar_sweeps\[0\]\.lidar_points\.lidar2sensor: expected a matrix that can be inverted"),
        (
            lambda f: f["images"]["CAM_BACK"].update(img_path="a\0b.jpg"),
            r"CAM_BACK\.img_path: image .*null byte",
        ),
        (
            lambda f: f["lidar_points"].update(lidar_path="a\0b.bin"),
            r"lidar_path: point file .*null byte",
        ),
    ],
    ids=["box", "velocity", "large box", "lidar2cam", "lidar2sensor", "image", "sweep"],
)
@pytest.mark.parametrize("kind", [PonderNuScenesDataset, PonderNuScenesDetDataset])
def test_a_wrong_value_in_a_later_key_frame_is_named_with_it(tmp_path, frame_root, info, kind, change, words):
    content = with_times(info, [1, 2])
    change(content["data_list"][1])
    path = tmp_path / "infos.pkl"
    path.write_bytes(pickle.dumps(content))
    pipeline = [LoadCameras(), LoadLidarSweeps(num_sweeps=9)]
    dataset = kind(data_root=str(frame_root), ann_file=str(path), pipeline=pipeline)
    dataset[0]
    with pytest.raises(UserError, match=rf"infos\.pkl, key frame at 2: .*({words})") as caught:
        dataset[1]
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("interval", [0, -1])
def test_an_interval_below_one_is_refused(tmp_path, info, interval):
    with pytest.raises(UserError, match="load_interval: expected a whole number of at least 1, got"):
        open_dataset(tmp_path, info, load_interval=interval)
