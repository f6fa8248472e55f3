"""The report: counts of cells are right, sameness is told, pictures are drawn."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from nuscenes import NuScenes
from nuscenes.eval.detection.constants import DETECTION_NAMES
from PIL import Image

from synthetic_nuscenes.views.class_spread import (
    BEARINGS,
    RINGS,
    cell_areas,
    cell_counts,
    even_share,
    highest_share,
    overlaps,
    standing_cells,
)
from synthetic_nuscenes.views.report import describe, write_report
from tests.factories.tool_scripts import load_tool


def at(distance: float, degrees: float) -> list[float]:
    return [distance * np.cos(np.deg2rad(degrees)), distance * np.sin(np.deg2rad(degrees))]


def test_boxes_are_counted_in_the_cell_of_their_bearing_and_range() -> None:
    places = np.array([at(5, 0), at(5, -14), at(15, 16), at(49, 180), at(25, -90), at(50.1, 0)])
    labels, drives = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 1, 0, 1, 1])
    counts = cell_counts(places, labels, drives, 2, 2)
    expected = np.zeros((2, 2, RINGS, BEARINGS), int)
    for label, drive, ring, bearing in [(0, 0, 0, 0), (0, 1, 0, 0), (0, 1, 1, 1), (1, 0, 4, 6), (1, 1, 2, 9)]:
        expected[label, drive, ring, bearing] = 1
    np.testing.assert_array_equal(counts, expected)
    assert cell_areas().sum() * BEARINGS == pytest.approx(np.pi * 50**2)


def test_a_class_at_one_place_in_all_drives_stands_out_against_even_bearings() -> None:
    same = np.zeros((40, RINGS, BEARINGS), bool)
    same[:, 2, 3] = True
    assert highest_share(same) == (1.0, (2, 3))
    assert 0.1 < even_share(same) < 0.35
    # A class that is at one bearing in each drive, but at any, is as even as can be.
    turned = np.zeros_like(same)
    turned[np.arange(40), 2, np.random.default_rng(1).integers(0, BEARINGS, 40)] = True
    assert highest_share(turned)[0] == pytest.approx(even_share(turned), abs=0.08)
    assert even_share(turned, seed=3) == even_share(turned, seed=3)


def test_drives_that_look_alike_overlap() -> None:
    square = np.array([[x, y, 1.0] for x in range(-39, 40, 2) for y in (-9, 9)], float)
    cells = standing_cells(square)
    assert cells.sum() == len(square)
    assert cells[20 - 5, 0]
    assert not standing_cells(square * 50).any()
    overlap = overlaps(np.stack([cells, cells, cells.T]))
    assert overlap[0, 1] == 1
    assert overlap[0, 2] < 0.1


@pytest.fixture(scope="module")
def content(synthetic_nuscenes: NuScenes) -> dict:
    return describe(synthetic_nuscenes, progress=False)


def test_its_counts_are_those_of_the_devkits_boxes(content: dict, synthetic_nuscenes: NuScenes) -> None:
    assert (content["drives"], content["key_frames"]) == (3, 6)
    assert list(content["classes"]) == DETECTION_NAMES
    boxes = dict.fromkeys(DETECTION_NAMES, 0)
    ahead = 0
    for sample in synthetic_nuscenes.sample:
        data = sample["data"]["LIDAR_TOP"]
        pose = synthetic_nuscenes.get("ego_pose", synthetic_nuscenes.get("sample_data", data)["ego_pose_token"])
        for box in synthetic_nuscenes.get_boxes(data):
            if synthetic_nuscenes.get("sample_annotation", box.token)["num_lidar_pts"] == 0:
                continue
            if box.name == "vehicle.car":
                boxes["car"] += 1
                box.translate(-np.array(pose["translation"]))
                box.rotate(box.orientation.__class__(pose["rotation"]).inverse)
                x, y = box.center[:2]
                ahead += np.hypot(x, y) < 50 and abs(np.arctan2(y, x)) < np.pi / 12
    car = content["classes"]["car"]
    assert car["boxes"] == boxes["car"] > 0
    assert sum(ring[0] for ring in car["boxes_in_cells"]) == ahead
    assert car["per_frame"]["mean"] == pytest.approx(boxes["car"] / 6, abs=1e-3)
    assert max(max(ring) for ring in car["drives_in_cells"]) == round(car["highest_share"] * 3)


def test_it_tells_sameness_points_and_descriptions(content: dict, synthetic_nuscenes: NuScenes) -> None:
    sameness = content["sameness"]
    assert sameness["highest_share"] == max(found["highest_share"] for found in content["classes"].values())
    assert 0 < sameness["overlap_of_the_median_pair"] <= sameness["overlap_of_most_alike"] < 1
    assert len(content["lidarseg"]) == 16
    assert sum(found["share"] for found in content["lidarseg"].values()) == pytest.approx(1, abs=1e-4)
    parts = {part.strip() for scene in synthetic_nuscenes.scene for part in scene["description"].split(",")}
    assert set(content["descriptions"]) == parts


def test_the_command_writes_json_and_three_pictures_of_what_is_there(
    synthetic_root: Path, content: dict, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    report = tmp_path / "new" / "streets.json"
    tool = load_tool(repository, "make_synthetic_nuscenes")
    assert tool.main(["--out", str(synthetic_root), "--report", str(report)]) == 0
    assert json.loads(report.read_text()) == {"benchmark": None} | content
    names = ("streets.png", "streets_drives.png", "streets_front.png")
    written = [report, *(report.with_name(name) for name in names)]
    assert capsys.readouterr().out.splitlines() == [f"report: {path}" for path in written]
    for name in names:
        assert np.asarray(Image.open(report.with_name(name)).convert("RGB")).std() > 10


def test_a_data_set_without_labels_of_points_is_described_as_well(synthetic_root: Path, tmp_path: Path) -> None:
    for entry in synthetic_root.iterdir():
        if entry.name != "v1.0-mini":
            (tmp_path / entry.name).symlink_to(entry)
    shutil.copytree(synthetic_root / "v1.0-mini", tmp_path / "v1.0-mini")
    (tmp_path / "v1.0-mini" / "lidarseg.json").unlink()
    content = describe(NuScenes("v1.0-mini", str(tmp_path), verbose=False), progress=False)
    assert "lidarseg" not in content
    assert content["sameness"]["overlap_of_most_alike"] > 0


def test_rows_of_cells_are_lines_of_their_own(tmp_path: Path) -> None:
    content = {"a": {"b": [[1, 2, 3], [-4, 5.5, 6]]}, "c": ["x", "y"], "d": []}
    write_report(tmp_path / "r.json", content)
    text = (tmp_path / "r.json").read_text()
    assert json.loads(text) == content
    assert "[1, 2, 3]" in text
