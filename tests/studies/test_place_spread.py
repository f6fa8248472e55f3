"""The choice of the spread of places: by drives that are left out, the same every time."""

import numpy as np
import pytest

from ponderv2.datasets import DETECTION_CLASSES
from studies.constant_fit import PLACE_SPREAD, LabelledFrame
from studies.place_spread import SPREADS, choose_spread, held_out_nds

CAR = DETECTION_CLASSES.index("car")


def _drives(number: int, spread: float) -> list[LabelledFrame]:
    """Frames with cars that stand around the same three places, as far from them as the spread says."""
    random = np.random.default_rng(3)
    frames = []
    for _ in range(number):
        places = np.array([[10.0, 5.0], [-20.0, -8.0], [25.0, -15.0]]) + random.normal(0, spread, (3, 2))
        rest = np.tile([0.5, 4.0, 2.0, 1.5, 0.3, 0.0, 0.0], (3, 1))
        frames.append(LabelledFrame(np.hstack([places, rest]), np.full(3, CAR)))
    return frames


def test_the_spread_with_the_best_score_on_left_out_drives_is_chosen_every_time():
    frames = _drives(12, 3.0)
    scenes = [f"scene {k}" for k in range(12)]
    scores = {spread: held_out_nds(frames, DETECTION_CLASSES, spread) for spread in SPREADS}
    assert len(set(scores.values())) > 1
    chosen = choose_spread(frames, scenes, DETECTION_CLASSES)
    assert scores[chosen] == max(scores.values())
    assert choose_spread(frames, scenes, DETECTION_CLASSES) == chosen


def test_drives_that_are_all_alike_are_predicted_and_keep_the_smallest_spread():
    frames = _drives(6, 0.0)
    # One class of ten has an AP of 1; nothing else adds to NDS but what its errors leave.
    assert held_out_nds(frames, DETECTION_CLASSES, 1.0) > 0.09
    assert choose_spread(frames, list("abcdef"), DETECTION_CLASSES) == SPREADS[0]


@pytest.mark.parametrize("scenes", ["aaaaaa", "aaabbb"])
def test_frames_of_fewer_than_three_drives_keep_the_default(scenes, monkeypatch):
    monkeypatch.setattr("studies.place_spread.held_out_nds", None)
    assert choose_spread(_drives(6, 3.0), list(scenes), DETECTION_CLASSES) == PLACE_SPREAD


def test_frames_of_one_drive_never_predict_each_other(monkeypatch):
    seen = []
    monkeypatch.setattr("studies.place_spread.held_out_nds", lambda frames, *_: seen.append(len(frames)) or 0.0)
    choose_spread(_drives(12, 3.0), list("aaaabbbbcccc"), DETECTION_CLASSES)
    assert seen == [3] * len(SPREADS)
