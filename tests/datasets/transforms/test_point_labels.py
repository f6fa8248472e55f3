"""Labels of points: whose they are, which points have none, and files that are refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ponderv2.datasets import (
    IGNORE_LABEL,
    LidarRangeFilter,
    LoadLidarSweeps,
    LoadPointLabels,
    PackSensorInputs,
    PonderNuScenesSegDataset,
)
from ponderv2.datasets.data_files import DataFileError
from ponderv2.datasets.lidarseg_classes import class_labels
from tests.factories.lidarseg import INFO_NAME


def frame_of(root: Path, index: int = 0, **options) -> dict:
    return PonderNuScenesSegDataset(data_root=str(root), ann_file=INFO_NAME, pipeline=[], **options)[index]


def raw_labels(root: Path, index: int = 0) -> np.ndarray:
    return np.fromfile(root / "lidarseg" / "v1.0-mini" / f"lidar{index}_lidarseg.bin", dtype=np.uint8)


def write_points(root: Path, change) -> None:
    path = root / "samples" / "LIDAR_TOP" / "sweep0.pcd.bin"
    points = np.fromfile(path, dtype=np.float32).reshape(-1, 5)
    change(points)
    points.tofile(path)


def test_every_point_has_its_label(labeled_root):
    results = LoadPointLabels()(LoadLidarSweeps()(frame_of(labeled_root)))
    expected = class_labels(raw_labels(labeled_root))
    assert (expected == IGNORE_LABEL).any()
    np.testing.assert_array_equal(results["pts_semantic_mask"], expected)
    assert "inverse_map" not in results


def test_labels_stay_with_their_points_when_some_are_not_finite(own_labeled_root):
    write_points(own_labeled_root, lambda points: points.__setitem__(([3, 200], 0), np.nan))
    results = LoadPointLabels()(LoadLidarSweeps()(frame_of(own_labeled_root)))
    expected = np.delete(class_labels(raw_labels(own_labeled_root)), [3, 200])
    np.testing.assert_array_equal(results["pts_semantic_mask"], expected)


def test_points_of_earlier_sweeps_have_no_label(labeled_root):
    frame = frame_of(labeled_root, 1)
    path = str(labeled_root / "samples" / "LIDAR_TOP" / "sweep0.pcd.bin")
    frame["lidar_sweeps"] = [
        {"timestamp": 100.0, "lidar_points": {"lidar_path": path, "lidar2sensor": np.eye(4).tolist()}}
    ]
    results = LoadPointLabels()(LoadLidarSweeps(num_sweeps=1)(frame))
    lag = results["points"].tensor[:, 4].numpy()
    assert (lag > 0).sum() >= 299
    assert (results["pts_semantic_mask"][lag > 0] == IGNORE_LABEL).all()
    np.testing.assert_array_equal(results["pts_semantic_mask"][lag == 0], class_labels(raw_labels(labeled_root, 1)))


def test_evaluation_gets_the_labels_of_all_points_in_the_order_of_the_file(own_labeled_root):
    write_points(own_labeled_root, lambda points: points.__setitem__((5, 2), np.inf))
    results = LoadPointLabels(evaluation=True)(LoadLidarSweeps()(frame_of(own_labeled_root, test_mode=True)))
    packed = PackSensorInputs()(results)
    sample = packed["data_samples"]
    expected = torch.from_numpy(class_labels(raw_labels(own_labeled_root)))
    assert torch.equal(sample.eval_ann_info["pts_semantic_mask"], expected)
    assert len(packed["inputs"]["points"]) == 299
    assert sample.gt_pts_seg.pts_semantic_mask.dtype == torch.int64
    assert sample.inverse_map.shape == (300,)
    # Wherever a point of its own is left, it has its own label.
    finite = torch.arange(300) != 5
    assert torch.equal(sample.gt_pts_seg.pts_semantic_mask[sample.inverse_map][finite], expected[finite])
    assert sample.metainfo["lidar_token"] == "lidar0"
    assert sample.metainfo["token"] == "frame 0"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bytes(299), r"lidar0_lidarseg\.bin have 299 bytes, expected one for each of the 300 points"),
        (b"", r"lidar0_lidarseg\.bin have 0 bytes, expected one for each of the 300 points"),
        (bytes(298) + b"\x20\xff", r"lidar0_lidarseg\.bin: point 298 has the label 32, and 2 points have none of the"),
    ],
    ids=["cut", "empty", "no category"],
)
def test_a_wrong_file_is_named_with_frame_and_key(own_labeled_root, content, message):
    (own_labeled_root / "lidarseg" / "v1.0-mini" / "lidar0_lidarseg.bin").write_bytes(content)
    results = LoadLidarSweeps()(frame_of(own_labeled_root))
    with pytest.raises(DataFileError, match=rf"^nuscenes_infos_train\.pkl, .*_mask_path: labels .*{message}[^\n]*$"):
        LoadPointLabels()(results)


def test_labels_are_loaded_right_after_the_points(labeled_root):
    with pytest.raises(ValueError, match="LoadPointLabels needs the points as LoadLidarSweeps loads them"):
        LoadPointLabels()(frame_of(labeled_root))
    filtered = LidarRangeFilter((-20, -20, -5, 20, 20, 3))(LoadLidarSweeps()(frame_of(labeled_root)))
    with pytest.raises(ValueError, match="LoadPointLabels needs the points as LoadLidarSweeps loads them"):
        LoadPointLabels()(filtered)


def test_another_data_set_is_refused(labeled_root):
    results = LoadLidarSweeps()(frame_of(labeled_root))
    del results["pts_semantic_mask_path"]
    with pytest.raises(ValueError, match="needs PonderNuScenesSegDataset"):
        LoadPointLabels()(results)


def test_labels_that_a_transform_left_behind_are_noticed(labeled_root):
    results = LoadPointLabels()(LoadLidarSweeps()(frame_of(labeled_root)))
    results["points"] = results["points"][:100]
    with pytest.raises(ValueError, match="300 labels of 100 points"):
        PackSensorInputs()(results)
