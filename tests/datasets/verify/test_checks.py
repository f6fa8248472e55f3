"""Checks pass on a right info file, and each kind of wrong one fails in the words that say what is wrong with it."""

import copy
import json
import math
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ponderv2.datasets import load_info_file
from ponderv2.datasets.verify import LegacyInfoFile, Result, UnusableInput, check_info_file, exit_code
from tests.datasets.verify.wrong_conventions import (
    bottom_center,
    failed,
    findings_of,
    forget_the_motion_of_the_car,
    global_velocity,
    half_size_intrinsics,
    invert_lidar2cam,
    invert_sweeps,
    microseconds,
    negate_yaw,
    old_mmdet3d,
    swap_width_and_length,
    sweeps_for_the_published_formula,
    turn_around,
    turn_by_a_quarter,
)
from tests.factories.tool_scripts import load_tool

KEYFRAME_INFOS = "nuscenes_infos_keyframe.pkl"


WRONG = [
    (negate_yaw, {"box yaw": "yaw negated (clockwise)", "heading and velocity": "yaw negated"}),
    (swap_width_and_length, {"box size order": "length and width are swapped (w, l, h)"}),
    (
        old_mmdet3d,
        {
            "box size order": "length and width are swapped",
            "box yaw": "yaw clockwise from -y (mmdet3d before 1.0)",
            "heading and velocity": "yaw clockwise from -y (mmdet3d before 1.0)",
        },
    ),
    (turn_by_a_quarter, {"box yaw": "off by a quarter turn", "heading and velocity": "a quarter turn too far"}),
    (turn_around, {"heading and velocity": "yaw points backwards"}),
    (bottom_center, {"box centre": "z is that of the bottom, not of the centre"}),
    (global_velocity, {"heading and velocity": "velocity in the global frame"}),
    (
        invert_lidar2cam,
        dict.fromkeys(("lidar2cam", "lidar2cam and poses", "boxes in images"), "lidar2cam inverted"),
    ),
    (forget_the_motion_of_the_car, {"lidar2cam and poses": "lidar2cam does not follow from the poses"}),
    (half_size_intrinsics, {"cam2img": "25% of the size"}),
    (
        sweeps_for_the_published_formula,
        {"sweep matrix and poses": "made for p @ R - t", "sweeps while turning": "moved by mmdet3d's p @ R - t"},
    ),
    (
        invert_sweeps,
        {
            "sweep matrix and poses": "lidar2sensor inverted",
            "sweeps while driving": "moved by lidar2sensor as it is",
        },
    ),
    (microseconds, {"sweep times": "not seconds, or not of the time before"}),
]


def test_a_right_info_file_passes(prepared, tables_root):
    findings = findings_of(prepared / "nuscenes_infos_train.pkl", tables_root)
    # The images of the factory tables are black, and cannot tell; and there are no labels of points.
    unverifiable = {name for name, finding in findings.items() if finding.result is Result.UNVERIFIABLE}
    assert failed(findings) == set()
    assert unverifiable == {"LiDAR on image edges", "point labels", "labels in boxes"}
    assert exit_code(findings.values()) == 0


@pytest.mark.parametrize(("change", "words"), WRONG, ids=[change.__name__ for change, _ in WRONG])
def test_a_wrong_convention_fails_and_is_named(changed, tables_root, change, words):
    findings = findings_of(changed(change), tables_root)
    assert failed(findings) == set(words)
    for name, word in words.items():
        assert word in findings[name].evidence
    assert exit_code(findings.values()) == 1


def without_motion(frame: dict) -> None:
    """As if the car stood still: every sweep where the key frame is."""
    for sweep in frame["lidar_sweeps"]:
        sweep["lidar_points"]["lidar2sensor"] = np.eye(4).tolist()
        sweep["ego2global"] = frame["ego2global"]


def test_sweeps_of_a_car_that_stands_still_tell_nothing(changed, tables_root):
    findings = findings_of(changed(without_motion), tables_root)
    for name in ("sweeps while driving", "sweeps while turning"):
        assert findings[name].result is Result.UNVERIFIABLE
        assert "the car hardly moves" in findings[name].evidence


def only_boxes(frame: dict) -> None:
    frame["lidar_sweeps"], frame["images"] = [], {}
    for key in ("ego2global",):
        frame.pop(key)


def test_what_the_file_does_not_have_is_not_verifiable(changed, tables_root):
    findings = findings_of(changed(only_boxes), tables_root)
    passed = {name for name, finding in findings.items() if finding.result is Result.PASS}
    assert passed == {"files", "box numbers", "box size order", "box yaw", "box centre", "heading and velocity"}
    assert failed(findings) == set()


def test_too_few_boxes_are_not_enough(changed, tables_root):
    findings = findings_of(changed(lambda frame: frame["instances"].clear()), tables_root)
    boxes = ("box numbers", "box size order", "box yaw", "box centre", "heading and velocity", "boxes in images")
    for name in boxes:
        assert findings[name].result is Result.UNVERIFIABLE


def test_missing_files_fail_and_the_first_is_named(prepared, tables_root, tmp_path):
    root = tmp_path / "nuscenes"
    shutil.copytree(tables_root / "samples", root / "samples")
    findings = findings_of(prepared / "nuscenes_infos_train.pkl", root)
    assert failed(findings) == {"files"}
    assert "30 of 78 are missing" in findings["files"].evidence
    assert "does not exist" in findings["sweeps while turning"].evidence


def test_an_empty_file_fails_like_a_missing_one(prepared, tables_root, tmp_path):
    root = tmp_path / "nuscenes"
    for part in ("samples", "sweeps"):
        shutil.copytree(tables_root / part, root / part)
    empty = sorted((root / "samples" / "CAM_BACK").iterdir())[0]
    empty.write_bytes(b"")
    findings = findings_of(prepared / "nuscenes_infos_train.pkl", root)
    assert failed(findings) == {"files"}
    assert "1 of 78 are missing or empty, first" in findings["files"].evidence
    assert empty.name in findings["files"].evidence


def test_at_most_so_many_key_frames_are_read(prepared, tables_root, monkeypatch):
    read = []
    from ponderv2.datasets.verify import sampled_frame

    original = sampled_frame.read_points
    monkeypatch.setattr(sampled_frame, "read_points", lambda path: read.append(path) or original(path))
    check_info_file(prepared / "nuscenes_infos_train.pkl", tables_root, frames=2)
    # Two spread evenly, and one where the car turns most.
    assert len(set(read)) <= 3


# ------------------------------------------------------------------------------------------- unusable input


def legacy_info(order: str) -> dict:
    """A file of the old layout, with sizes in one order or the other."""
    sizes = {"wlh": (1.9, 4.6, 1.6), "lwh": (4.6, 1.9, 1.6)}[order]
    boxes = np.array([[10.0, 5.0, -1.0, *sizes, 0.3]] * 6)
    frame = {"token": "t", "gt_boxes": boxes, "gt_names": np.array(["car"] * 6), "cams": {}, "sweeps": []}
    return {"infos": [frame], "metadata": {"version": "v1.0-mini"}}


@pytest.mark.parametrize(
    ("order", "words"),
    [("wlh", "of the old convention, width first (w, l, h) and yaw clockwise"), ("lwh", "a release candidate of mmd")],
)
def test_an_info_file_before_mmdet3d_1_is_explained(tmp_path, order, words):
    path = tmp_path / "old.pkl"
    path.write_bytes(pickle.dumps(legacy_info(order)))
    with pytest.raises(LegacyInfoFile) as raised:
        check_info_file(path)
    for expected in (words, "generation before mmdet3d 1.0", "mASE near 0.71", "mAOE near 1.5", "tools/create_data.py"):
        assert expected in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no pickle", r"infos\.pkl is no pickle, or a damaged one .*; expected an info file that tools/create_data"),
        (pickle.dumps(Path("/")), "it wants to load pathlib"),
        (pickle.dumps({"frames": []}), "expected a dict with 'metainfo' and 'data_list'"),
        (pickle.dumps({"metainfo": {}, "data_list": []}), "has no key frames"),
        (pickle.dumps({"metainfo": {}, "data_list": [{"instances": []}]}), "key 'lidar_points' is missing"),
    ],
    ids=["damaged", "not plain", "other", "empty", "no lidar"],
)
def test_unusable_input_is_named(tmp_path, content, message):
    path = tmp_path / "infos.pkl"
    path.write_bytes(content)
    with pytest.raises(UnusableInput, match=message):
        check_info_file(path)


def test_a_matrix_of_a_wrong_shape_is_named_with_its_key(changed, tables_root):
    def cut(frame: dict) -> None:
        frame["images"]["CAM_BACK"]["lidar2cam"] = np.eye(3).tolist()

    with pytest.raises(UnusableInput, match=r"images\.CAM_BACK\.lidar2cam: expected a finite 4×4 matrix, got shape"):
        check_info_file(changed(cut), tables_root)


def in_the_second(changed: Callable[..., Path], change: Callable[[dict], None]) -> Path:
    """Write the info file with the second key frame put through a function."""
    numbers = iter(range(1000))
    return changed(lambda frame: change(frame) if next(numbers) == 1 else None)


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ([1.0, 2.0], "has shape (2,)"),
        ([math.nan] * 7, "is not finite"),
        ([8.0, 5.0, -1.0, 4.6, 0.0, 1.6, 0.4], "has the sizes [4.6, 0.0, 1.6]"),
        ([8.0, 5.0, -1.0, 4.6, 1.9, -1.6, 0.4], "has the sizes [4.6, 1.9, -1.6]"),
    ],
    ids=["two numbers", "not a number", "flat", "negative"],
)
def test_a_box_of_wrong_numbers_fails_and_is_named(changed, tables_root, train_info, box, words):
    path = in_the_second(changed, lambda frame: frame["instances"][0].update(bbox_3d=box))
    findings = findings_of(path, tables_root)
    assert failed(findings) == {"box numbers"}
    token = train_info["data_list"][1]["token"]
    assert f"boxes are wrong, first key frame {token}: instances[0].bbox_3d {words}" in findings["box numbers"].evidence


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("bbox_3d", "a car", r"instances\[0\]\.bbox_3d: expected numbers"),
        ("bbox_3d", None, r"instances\[0\]\.bbox_3d"),
        ("velocity", "fast", "velocity of instances: expected numbers"),
        ("velocity", [1.0], "velocity of instances: expected numbers"),
        ("num_lidar_pts", "many", "num_lidar_pts of instances: expected whole numbers"),
        ("bbox_label_3d", math.inf, "bbox_label_3d of instances: expected whole numbers"),
    ],
)
def test_what_is_no_number_is_named_with_its_key_frame(changed, tables_root, train_info, key, value, words):
    path = in_the_second(changed, lambda frame: frame["instances"][0].update({key: value}))
    token = re.escape(train_info["data_list"][1]["token"])
    if value is None:
        assert failed(findings_of(path, tables_root)) == {"box numbers"}
        return
    with pytest.raises(UnusableInput, match=rf"changed\.pkl .*key frame {token}: {words}"):
        check_info_file(path, tables_root)


def test_a_matrix_that_cannot_be_inverted_is_named_with_its_key(changed, tables_root):
    path = in_the_second(changed, lambda frame: frame["images"]["CAM_BACK"].update(lidar2cam=np.ones((4, 4)).tolist()))
    with pytest.raises(UnusableInput, match=r"images\.CAM_BACK\.lidar2cam: expected a matrix that can be inverted"):
        check_info_file(path, tables_root)


# ------------------------------------------------------------------------------------------- the command line


@pytest.fixture
def check_data(repository) -> Callable[[list[str]], int]:
    return load_tool(repository, "check_data").main


def test_the_exit_code_and_the_table_say_whether_all_is_well(check_data, prepared, changed, tables_root, capsys):
    assert check_data([str(prepared / "nuscenes_infos_train.pkl"), "--root", str(tables_root)]) == 0
    assert "14 pass, 0 fail, 3 not verifiable" in capsys.readouterr().out
    assert check_data([str(changed(old_mmdet3d)), "--root", str(tables_root)]) == 1
    assert "these look like boxes of mmdet3d before 1.0" in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.parametrize("name", ["nowhere.pkl", "old.pkl"])
def test_unusable_input_ends_with_code_2(check_data, tmp_path, capsys, name):
    (tmp_path / "old.pkl").write_bytes(pickle.dumps(legacy_info("wlh")))
    assert check_data([str(tmp_path / name)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert name in captured.err


def test_a_json_info_file_is_checked_as_well(prepared, train_info, tables_root, tmp_path):
    path = tmp_path / "infos.json"
    path.write_text(json.dumps(train_info))
    assert findings_of(path, tables_root) == findings_of(prepared / "nuscenes_infos_train.pkl", tables_root)


# ------------------------------------------------------------------------------------------- the real key frame


@pytest.fixture
def real_info(keyframe_root) -> dict:
    """Content of the real info file, to be changed."""
    return copy.deepcopy(load_info_file(keyframe_root / KEYFRAME_INFOS))


@pytest.mark.real
def test_the_real_key_frame_passes_all_but_the_sweeps_and_labels_it_does_not_have(keyframe_root):
    findings = findings_of(keyframe_root / KEYFRAME_INFOS, keyframe_root)
    assert failed(findings) == set()
    unverifiable = {name for name, finding in findings.items() if finding.result is Result.UNVERIFIABLE}
    assert unverifiable == {
        "sweep times",
        "sweep matrix and poses",
        "sweeps while driving",
        "sweeps while turning",
        "point labels",
        "labels in boxes",
    }


REAL_WRONG = [
    (negate_yaw, {"box yaw": "yaw negated (clockwise)", "heading and velocity": "yaw negated"}),
    (swap_width_and_length, {"box size order": "length and width are swapped (w, l, h)"}),
    (
        invert_lidar2cam,
        dict.fromkeys(
            ("lidar2cam", "lidar2cam and poses", "boxes in images", "LiDAR on image edges"), "lidar2cam inverted"
        ),
    ),
    (bottom_center, {"box centre": "z is that of the bottom, not of the centre"}),
]


@pytest.mark.real
@pytest.mark.parametrize(("change", "words"), REAL_WRONG, ids=[change.__name__ for change, _ in REAL_WRONG])
def test_a_wrong_convention_shows_on_the_real_key_frame(changed, real_info, keyframe_root, change, words):
    findings = findings_of(changed(change, real_info), keyframe_root)
    assert failed(findings) == set(words)
    for name, word in words.items():
        assert word in findings[name].evidence
