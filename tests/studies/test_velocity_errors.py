"""Velocities of found boxes are compared on the boxes that all models found, beside standing still."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
from nuscenes import NuScenes
from nuscenes.eval.detection.utils import category_to_detection_name

from ponderv2.errors import UserError
from studies.velocity_errors import describe_row, match_boxes, rows_of
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


def test_without_shared_boxes_nothing_is_compared():
    left = {"a": [box(0, 0, (3, 4))]}
    right = {"b": [box(0, 0, (0, 2))]}
    matches = {name: match_boxes(TRUTH, found) for name, found in (("left", left), ("right", right))}
    expected = r"of 4 true boxes none .* found by all of left \(recall 0\.250\), right \(recall 0\.250\)"
    with pytest.raises(UserError, match=expected):
        rows_of(matches, 4)


def test_where_no_shared_box_moves_errors_of_moving_ones_are_none():
    rows = rows_of({"good": match_boxes(TRUTH, {"a": [box(10, 0, (1, 0))]})}, 4)
    assert [(row["error"], row["moving"], row["error_moving"], row["of_still"]) for row in rows] == [
        (1.0, 0, None, None),
        (0.0, 0, None, None),
    ]
    assert describe_row(rows[0], "car") == "good: recall 0.250  car on 1 shared boxes 1.000 m/s, of which none moves"


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


def test_the_tool_refuses_submissions_that_share_no_box(streets, tmp_path, capsys):
    nuscenes = NuScenes("v1.0-mini", str(streets), verbose=False)
    full = _submission(tmp_path / "full.json", nuscenes, 1.0)
    content = json.loads(full.read_text())
    content["results"] = {token: [] for token in content["results"]}
    (tmp_path / "none.json").write_text(json.dumps(content))
    given = [str(full), str(tmp_path / "none.json"), "--data-root", str(streets), "--json", str(tmp_path / "out.json")]
    assert load_tool(ROOT, "velocity_errors").main(given) == 2
    assert "none.json (recall 0.000)" in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()
