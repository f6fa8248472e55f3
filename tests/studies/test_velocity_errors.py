"""Velocities of found boxes are compared on the boxes that all models found, beside standing still."""

import math
from types import SimpleNamespace

import pytest

from studies.velocity_errors import match_boxes, rows_of


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
