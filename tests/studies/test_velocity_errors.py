"""Velocities of found boxes are compared on the boxes that all models found, beside standing still."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
from nuscenes import NuScenes
from nuscenes.eval.detection.utils import category_to_detection_name

from studies.velocity_errors import match_boxes, rows_of
from tests.factories.tool_scripts import load_tool

ROOT = Path(__file__).parents[2]


def box(x: float, y: float, velocity: tuple[float, float], score: float = 1.0) -> SimpleNamespace:
    return SimpleNamespace(translation=(x, y, 0.0), velocity=velocity, detection_score=score)


TRUTH = {"a": [box(0, 0, (3, 4)), box(10, 0, (0, 0)), box(20, 0, (math.nan, math.nan))], "b": [box(0, 0, (0, 2))]}


def test_the_more_certain_box_takes_the_nearest_true_one_and_unknown_velocities_do_not_count():
    found = {
        "a": [box(0.5, 0, (9, 9), 0.2), box(1.9, 0, (3, 0), 0.9), box(20, 0, (1, 1)), box(10, 2.1, (0, 0))],
        "c": [box(0, 0, (0, 0))],
    }
    matches = match_boxes(TRUTH, found)
    assert matches.keys() == {("a", 0)}
    match = matches["a", 0]
    assert (match.score, match.speed, match.error) == (0.9, 5.0, 4.0)


def test_models_are_compared_on_the_boxes_that_all_of_them_found():
    still = {"a": [box(0, 0, (0, 0)), box(10, 0, (0, 0))], "b": []}
    exact = {"a": [box(0, 0, (3, 4)), box(10, 0, (1, 0))], "b": [box(0, 0, (50, 50))]}
    matches = {name: match_boxes(TRUTH, found) for name, found in (("zero", still), ("good", exact))}
    zero, good, nothing = rows_of(matches, 4)
    assert (zero["recall"], good["recall"]) == (0.5, 0.75)
    assert [row["boxes"] for row in (zero, good, nothing)] == [2, 2, 2]
    assert [row["moving"] for row in (zero, good, nothing)] == [1, 1, 1]
    assert zero["error"] == nothing["error"] == 2.5
    assert zero["error_moving"] == nothing["error_moving"] == 5.0
    assert (good["error"], good["error_moving"]) == (0.5, 0.0)


def test_without_shared_boxes_there_is_no_error():
    row = rows_of({"nothing": match_boxes(TRUTH, {})}, 4)[0]
    assert row["recall"] == 0
    assert row["error"] != row["error"]
    assert row == pytest.approx(row, nan_ok=True)


def _submission(path: Path, nuscenes: NuScenes, factor: float) -> Path:
    """What a detector that finds every box and a share of its velocity hands in."""
    results = {}
    for sample in nuscenes.sample:
        rows = [nuscenes.get("sample_annotation", token) for token in sample["anns"]]
        results[sample["token"]] = [
            {
                **{key: row[key] for key in ("translation", "size", "rotation")},
                "sample_token": sample["token"],
                "velocity": (factor * nuscenes.box_velocity(row["token"])[:2]).tolist(),
                "detection_name": name,
                "detection_score": 1.0,
                "attribute_name": "",
            }
            for row in rows
            if (name := category_to_detection_name(row["category_name"]))
        ]
    used = dict.fromkeys(("use_camera", "use_lidar", "use_radar", "use_map", "use_external"), False)
    path.write_text(json.dumps({"meta": used, "results": results}))
    return path


def test_the_tool_compares_submissions_beside_standing_still(streets, tmp_path, capsys):
    nuscenes = NuScenes("v1.0-mini", str(streets), verbose=False)
    files = [_submission(tmp_path / f"{factor}.json", nuscenes, factor) for factor in (1.0, 0.75, 0.0)]
    main = load_tool(ROOT, "velocity_errors").main
    given = [*map(str, files), "--data-root", str(streets), "--json", str(tmp_path / "found.json")]
    assert main(given) == 0
    exact, near, still, nothing = json.loads((tmp_path / "found.json").read_text())["rows"]
    assert exact["boxes"] > exact["moving"] > 0
    assert exact["error"] == 0.0
    assert near["of_still"] == pytest.approx(0.25)
    assert still["error_moving"] == nothing["error_moving"] > 0.5
    assert "0.25 of standing still" in capsys.readouterr().out
    assert main([*given, "--with-past"]) == 0
    later = json.loads((tmp_path / "found.json").read_text())["rows"][0]
    assert 0 < later["boxes"] < exact["boxes"]
