"""Scores from a confusion matrix: as the devkit computes them, and where something is not defined."""

import math

import numpy as np
import pytest
from nuscenes.eval.lidarseg.utils import ConfusionMatrix

from ponderv2.evaluation import SegmentationScore, confusion_matrix
from ponderv2.evaluation.segmentation_score import range_names, score_table

NAMES = ("barrier", "bicycle", "bus", "car", "truck")


def _devkit(labels: np.ndarray, predictions: np.ndarray) -> ConfusionMatrix:
    matrix = ConfusionMatrix(len(NAMES) + 1, 0)
    matrix.update(labels + 1, predictions + 1)
    return matrix


@pytest.mark.parametrize("seed", range(3))
def test_the_scores_are_those_of_the_devkit(seed):
    rng = np.random.default_rng(seed)
    # One class neither occurs nor is predicted, another is predicted alone.
    labels, predictions = rng.choice([-1, 0, 1, 3], 500), rng.choice([0, 1, 2, 3], 500)
    score = SegmentationScore(confusion_matrix(labels, predictions, len(NAMES)), NAMES)
    devkit = _devkit(labels, predictions)
    np.testing.assert_allclose(score.iou, devkit.get_per_class_iou()[1:], rtol=1e-6)
    assert score.miou == pytest.approx(devkit.get_mean_iou(), rel=1e-6)
    assert score.fwiou == pytest.approx(devkit.get_freqweighted_iou(), rel=1e-6)
    scored = labels >= 0
    assert score.accuracy == pytest.approx((labels == predictions)[scored].mean())


def test_matrices_of_parts_add_up():
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(-1, 5, 300), rng.integers(0, 5, 300)
    parts = [confusion_matrix(labels[k::3], predictions[k::3], 5) for k in range(3)]
    np.testing.assert_array_equal(sum(parts), confusion_matrix(labels, predictions, 5))


def test_what_is_not_defined_is_left_out_and_a_dash_in_the_table():
    score = SegmentationScore(confusion_matrix(np.array([3, 3]), np.array([3, 3]), 5), NAMES)
    assert score.flat() == {"mIoU": 1.0, "fwIoU": 1.0, "accuracy": 1.0, "car_IoU": 1.0}
    empty = SegmentationScore(np.zeros((5, 5), dtype=np.int64), NAMES)
    assert empty.flat() == {}
    assert math.isnan(empty.miou)
    rows = {line.split("|")[1].strip(): line for line in score_table({"all": score, "40m+": empty}).splitlines()[2:]}
    assert rows["car"].split("|")[2:5] == [" 2      ", " 1.000   ", " –        "]
    assert rows["mean"].split("|")[3].strip() == "1.000"


def test_ranges_have_names():
    assert range_names((20.0, 40.5)) == ["0-20m", "20-40.5m", "40.5m+"]
    assert range_names(()) == ["0m+"]


def test_predictions_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="prediction: expected 0 to 4, got 0 to 5"):
        confusion_matrix(np.zeros(2, dtype=int), np.array([0, 5]), 5)
