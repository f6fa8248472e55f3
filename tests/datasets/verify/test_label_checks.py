"""Labels of points that are missing, cut, of wrong values or of another numbering are found and named."""

from pathlib import Path

import numpy as np
import pytest

from ponderv2.datasets import load_info_file
from ponderv2.datasets.verify import Finding, Result, check_info_file
from ponderv2.datasets.verify.label_checks import check_point_labels
from ponderv2.datasets.verify.sampled_frame import SampledFrame
from tests.factories.lidarseg import CAR_POINTS, INFO_NAME


def frames_of(root: Path) -> list[SampledFrame]:
    info = load_info_file(root / INFO_NAME)
    return [SampledFrame(frame, root, {0: "car"}, info["metainfo"]["version"]) for frame in info["data_list"]]


def checked(root: Path) -> tuple[Finding, Finding]:
    files, in_boxes = check_point_labels(frames_of(root))
    return files, in_boxes


def change_labels(root: Path, change) -> None:
    for path in (root / "lidarseg" / "v1.0-mini").iterdir():
        change(np.fromfile(path, dtype=np.uint8)).tofile(path)


def test_right_labels_pass(labeled_root):
    files, in_boxes = checked(labeled_root)
    assert files.result is in_boxes.result is Result.PASS
    assert files.evidence == "those of 4 key frames"
    assert f"of {4 * CAR_POINTS}" in in_boxes.evidence


def test_they_are_part_of_the_report(labeled_root):
    names = {finding.check for finding in check_info_file(labeled_root / INFO_NAME)}
    assert {"point labels", "labels in boxes"} <= names


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "lidar2_lidarseg.bin does not exist"),
        (bytes(299), "lidar2_lidarseg.bin have 299 bytes, expected one for each of the 300 points"),
        (bytes(299) + b"\x28", "point 299 has the label 40"),
    ],
    ids=["missing", "cut", "no category"],
)
def test_a_wrong_file_fails_and_is_named(own_labeled_root, content, words):
    path = own_labeled_root / "lidarseg" / "v1.0-mini" / "lidar2_lidarseg.bin"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    files, in_boxes = checked(own_labeled_root)
    assert files.result is Result.FAIL
    assert files.evidence.startswith("1 of 4, first key frame frame 2: labels ")
    assert words in files.evidence
    assert (in_boxes.result, in_boxes.evidence) == (Result.UNVERIFIABLE, "see point labels")


def test_frames_without_labels_among_others_fail(labeled_root):
    frames = frames_of(labeled_root)
    del frames[1].info["pts_semantic_mask_path"]
    files, _ = check_point_labels(frames)
    assert (files.result, files.evidence) == (Result.FAIL, "1 of 4 key frames have no pts_semantic_mask_path")


def test_an_info_file_without_labels_is_no_fault_and_says_what_to_do(labeled_root):
    frames = frames_of(labeled_root)
    for frame in frames:
        del frame.info["pts_semantic_mask_path"]
    files, in_boxes = check_point_labels(frames)
    assert files.result is in_boxes.result is Result.UNVERIFIABLE
    assert "tools/create_data.py adds it" in files.evidence


def test_labels_of_the_sixteen_classes_are_recognized(own_labeled_root):
    # 4 is the car of the devkit's classes 1 to 16.
    change_labels(own_labeled_root, lambda labels: np.where(labels == 17, 4, labels % 17).astype(np.uint8))
    _, in_boxes = checked(own_labeled_root)
    assert in_boxes.result is Result.FAIL
    assert in_boxes.evidence.startswith("labels are those of the 16 classes; points of another class, of 240 in boxes:")


def test_labels_in_another_order_do_not_fit_the_boxes(own_labeled_root):
    change_labels(own_labeled_root, lambda labels: labels[::-1])
    _, in_boxes = checked(own_labeled_root)
    assert in_boxes.result is Result.FAIL
    assert in_boxes.evidence.startswith("labels do not fit the boxes")


def test_too_few_points_in_boxes_cannot_tell(labeled_root):
    files, in_boxes = check_point_labels(frames_of(labeled_root)[:1])
    assert files.result is Result.PASS
    assert in_boxes.result is Result.UNVERIFIABLE
    assert "60 points in boxes; 100 are needed" in in_boxes.evidence
