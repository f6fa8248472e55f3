"""Boxes to detect: which are kept, in which convention, and what is known of their velocity."""

import math
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet3d.structures import LiDARInstance3DBoxes

from ponderv2.datasets import (
    DETECTION_CLASSES,
    LoadCameras,
    LoadLidarSweeps,
    PackSensorInputs,
    PonderNuScenesDetDataset,
    UnifiedRotScaleTransFlip,
)
from ponderv2.datasets.info_file import InfoFileError
from tests.factories.keyframe import INFO_NAME


def test_the_names_of_the_classes_are_those_of_mmdet3d_in_its_order():
    assert PonderNuScenesDetDataset.METAINFO["classes"] == DETECTION_CLASSES


@pytest.fixture
def info(frame_root: Path) -> dict:
    """Content of the info file, to be changed: a car, a truck and a trailer."""
    return pickle.loads((frame_root / INFO_NAME).read_bytes())


@pytest.fixture
def instances(info: dict) -> list[dict]:
    return info["data_list"][0]["instances"]


@pytest.fixture
def boxes_of(info: dict, frame_root: Path, tmp_path: Path) -> Callable[..., dict]:
    """Writes the info file and gives `ann_info` of its key frame."""

    def ann_info(**kwargs) -> dict:
        return open_dataset(info, frame_root, tmp_path, **kwargs).get_data_info(0)["ann_info"]

    return ann_info


def open_dataset(info: dict, frame_root: Path, folder: Path, **kwargs) -> PonderNuScenesDetDataset:
    path = folder / "infos.pkl"
    path.write_bytes(pickle.dumps(info))
    kwargs = {"pipeline": []} | kwargs
    return PonderNuScenesDetDataset(data_root=str(frame_root), ann_file=str(path), **kwargs)


def test_boxes_are_those_of_mmdet3d_1_with_velocity(boxes_of, instances):
    ann = boxes_of()
    assert isinstance(ann["gt_bboxes_3d"], LiDARInstance3DBoxes)
    assert ann["gt_bboxes_3d"].tensor.shape == (3, 9)
    expected = np.array([i["bbox_3d"] for i in instances])
    np.testing.assert_allclose(ann["gt_bboxes_3d"].gravity_center, expected[:, :3], atol=1e-5)
    np.testing.assert_allclose(ann["gt_bboxes_3d"].tensor[:, 3:7], expected[:, 3:], atol=1e-5)
    np.testing.assert_allclose(ann["gt_bboxes_3d"].tensor[:, 7:], [[1.0, 0.5]] * 3)
    assert ann["gt_labels_3d"].tolist() == [0, 1, 2]
    assert ann["gt_velocity_known"].tolist() == [True] * 3


@pytest.mark.parametrize("unknown", [[None, None], [math.nan, math.nan]], ids=["ours", "mmdet3d"])
def test_an_unknown_velocity_is_not_standing_still(boxes_of, instances, unknown):
    instances[1]["velocity"] = unknown
    ann = boxes_of()
    assert ann["gt_velocity_known"].tolist() == [True, False, True]
    assert ann["gt_bboxes_3d"].tensor[1, 7:].isnan().all()
    assert ann["gt_bboxes_3d"].tensor[[0, 2]].isfinite().all()


def test_unknown_velocities_can_be_zero_as_published(boxes_of, instances):
    instances[1]["velocity"] = [None, None]
    ann = boxes_of(unknown_velocity="zero")
    assert ann["gt_velocity_known"].tolist() == [True, False, True]
    assert ann["gt_bboxes_3d"].tensor[1, 7:].tolist() == [0, 0]


def test_an_unknown_velocity_stays_unknown_through_a_pipeline(info, instances, frame_root, tmp_path):
    instances[1]["velocity"] = [None, None]
    from mmdet3d.datasets.transforms import LoadAnnotations3D, ObjectRangeFilter

    pipeline = [
        LoadCameras(),
        LoadLidarSweeps(),
        LoadAnnotations3D(with_bbox_3d=True, with_label_3d=True),
        UnifiedRotScaleTransFlip(rotation=(0.3, 0.3), scale=(1.1, 1.1), flip_x=1.0),
        ObjectRangeFilter([-14, -14, -5, 14, 14, 3]),
        PackSensorInputs(),
    ]
    # Transforms are callables; a pipeline of them needs no registry.
    dataset = open_dataset(info, frame_root, tmp_path, pipeline=pipeline)
    gt = dataset[0]["data_samples"].gt_instances_3d
    # The third box is out of range.
    assert gt.labels_3d.tolist() == [0, 1]
    assert gt.bboxes_3d.tensor[:, 7:].isnan().all(dim=1).tolist() == [False, True]
    assert gt.bboxes_3d.tensor[:, :7].isfinite().all()


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, [0, 1]),
        ({"use_valid_flag": False}, [0, 1, 2]),
        ({"min_lidar_points": 1}, [0]),
        ({"use_valid_flag": False, "min_lidar_points": 6}, [0]),
        ({"min_lidar_points": 99}, []),
    ],
)
def test_boxes_are_kept_by_their_points(boxes_of, instances, options, kept):
    instances[0] |= {"num_lidar_pts": 6, "num_radar_pts": 0, "bbox_3d_isvalid": True}
    instances[1] |= {"num_lidar_pts": 0, "num_radar_pts": 2, "bbox_3d_isvalid": True}
    instances[2] |= {"num_lidar_pts": 0, "num_radar_pts": 0, "bbox_3d_isvalid": False}
    ann = boxes_of(**options)
    assert ann["gt_labels_3d"].tolist() == kept
    assert len(ann["gt_bboxes_3d"]) == len(ann["gt_velocity_known"]) == len(ann["instances"]) == len(kept)


def test_boxes_of_other_categories_are_never_kept(boxes_of, instances):
    instances[0]["bbox_label"] = instances[0]["bbox_label_3d"] = -1
    assert boxes_of(use_valid_flag=False)["gt_labels_3d"].tolist() == [1, 2]


def test_classes_that_are_not_asked_for_are_left_out_and_others_numbered_anew(boxes_of):
    assert boxes_of(metainfo={"classes": ("trailer", "car")})["gt_labels_3d"].tolist() == [1, 0]


@pytest.mark.parametrize("test_mode", [False, True])
def test_frames_without_boxes_are_kept(info, instances, frame_root, tmp_path, test_mode):
    instances.clear()
    dataset = open_dataset(info, frame_root, tmp_path, test_mode=test_mode)
    assert dataset[0]["token"] == "factory"
    ann = dataset.get_data_info(0)["eval_ann_info" if test_mode else "ann_info"]
    assert ann["gt_bboxes_3d"].tensor.shape == (0, 9)
    assert ann["gt_labels_3d"].shape == ann["gt_velocity_known"].shape == (0,)


def test_frames_without_boxes_are_left_out_when_asked(info, instances, frame_root, tmp_path):
    info["data_list"] = [
        info["data_list"][0] | {"instances": [], "token": "empty", "timestamp": 0.0},
        *info["data_list"],
    ]
    dataset = open_dataset(info, frame_root, tmp_path, filter_empty_gt=True)
    assert dataset.prepare_data(0) is None


def test_boxes_are_counted_by_class(info, frame_root, tmp_path):
    assert open_dataset(info, frame_root, tmp_path).num_ins_per_cat == [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]


def test_the_version_is_that_of_the_file_unless_the_config_says(info, frame_root, tmp_path):
    assert open_dataset(info, frame_root, tmp_path).metainfo["version"] == "v1.0-mini"
    dataset = open_dataset(info, frame_root, tmp_path, metainfo={"version": "v1.0-test"})
    assert dataset.metainfo["version"] == "v1.0-test"


def test_other_numbers_of_the_classes_are_refused(info, frame_root, tmp_path):
    info["metainfo"]["categories"] = {"car": 0, "truck": 4, "ignore": -1}
    with pytest.raises(InfoFileError, match=r"infos\.pkl: metainfo\.categories has 'truck' as 4, expected 1"):
        open_dataset(info, frame_root, tmp_path)


def test_another_way_to_give_unknown_velocities_is_refused(info, frame_root, tmp_path):
    with pytest.raises(ValueError, match=r"unknown_velocity: expected 'nan' or 'zero', got 'mean'"):
        open_dataset(info, frame_root, tmp_path, unknown_velocity="mean")


@pytest.mark.real
def test_real_boxes_are_kept_by_the_valid_flag(keyframe_root):
    dataset = PonderNuScenesDetDataset(data_root=str(keyframe_root), ann_file=INFO_NAME, pipeline=[])
    frame = dataset.get_data_info(0)
    ann = frame["ann_info"]
    # Of 69 boxes three have no point, and one is of a category that is not detected.
    assert sum(i["bbox_3d_isvalid"] for i in frame["instances"]) == 66
    assert len(ann["gt_bboxes_3d"]) == 65
    assert torch.isfinite(ann["gt_bboxes_3d"].tensor[ann["gt_velocity_known"]]).all()


@pytest.mark.parametrize(
    "box",
    [
        [1.0, 2.0],
        [math.nan] * 7,
        [1.0, 2.0, 0.0, 4.0, 2.0, 1.5, math.inf],
        [1.0, 2.0, 0.0, 4.0, 0.0, 1.5, 0.1],
        [1.0, 2.0, 0.0, 4.0, -2.0, 1.5, 0.1],
        [1e39, 2.0, 0.0, 4.0, 2.0, 1.5, 0.1],
        "a truck",
    ],
    ids=["two numbers", "not a number", "infinite", "flat", "negative", "too large", "text"],
)
def test_a_box_that_cannot_be_trained_on_is_named(boxes_of, instances, box):
    instances[1]["bbox_3d"] = box
    with pytest.raises(InfoFileError, match=r"infos\.pkl, key frame factory: instances\[1\]\.bbox_3d: expected finite"):
        boxes_of()


@pytest.mark.parametrize("velocity", ["fast", [1.0], [1.0, [2.0]]])
def test_a_wrong_velocity_is_named(boxes_of, instances, velocity):
    instances[1]["velocity"] = velocity
    with pytest.raises(InfoFileError, match=r"key frame factory: instances\[1\]\.velocity: expected two numbers"):
        boxes_of()


def test_boxes_that_are_left_out_may_be_anything(boxes_of, instances):
    instances[1].update(bbox_3d=[math.nan] * 7, bbox_label_3d=-1)
    assert boxes_of()["gt_labels_3d"].tolist() == [0, 2]
