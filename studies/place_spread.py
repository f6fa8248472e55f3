"""The choice of how far objects of other drives stand from the labelled ones, by leaving labelled drives out."""

from collections.abc import Sequence

import numpy as np
from nuscenes.eval.common.data_classes import EvalBoxes
from nuscenes.eval.common.utils import center_distance
from nuscenes.eval.detection.algo import accumulate, calc_ap, calc_tp
from nuscenes.eval.detection.constants import TP_METRICS
from nuscenes.eval.detection.data_classes import DetectionBox, DetectionMetrics

from ponderv2.evaluation.submission import attribute_of

from .constant_fit import OFFICIAL, PLACE_SPREAD, ConstantPrediction, LabelledFrame, fit_constant

SPREADS = (1.0, 2.0, 4.0, 8.0)
"""Metres that are chosen among."""
FOLDS = 3
"""Parts that the drives are dealt into, each of which is predicted from the others."""
MOST_DRIVES = 40
"""Drives that are looked at, evenly spaced, one frame of each: the choice takes seconds whatever the share."""
_WITHOUT = {"traffic_cone": ("attr_err", "vel_err", "orient_err"), "barrier": ("attr_err", "vel_err")}
"""Errors that the devkit does not define."""


def choose_spread(frames: Sequence[LabelledFrame], scenes: Sequence[str], classes: Sequence[str]) -> float:
    """Return the one of `SPREADS`, in metres, with which labelled drives predict other labelled drives best.

    Frames of one drive are alike, so drives are left out as a whole. What is compared is NDS by the devkit's rules, of
    all left-out frames together. Nothing is drawn at random; of equal ones the smallest is taken.

    Args:
        frames: labelled frames.
        scenes: token of the scene of each frame.
        classes: names of the labels.

    Returns:
        The spread; `PLACE_SPREAD` where there are fewer than three drives.
    """
    drives: dict[str, list[LabelledFrame]] = {}
    for scene, frame in zip(scenes, frames, strict=True):
        drives.setdefault(scene, []).append(frame)
    if len(drives) < FOLDS:
        return PLACE_SPREAD
    chosen = np.unique(np.linspace(0, len(drives) - 1, min(len(drives), MOST_DRIVES)).astype(int))
    in_order = list(drives.values())
    # Not the same moment of each drive.
    looked_at = [in_order[k][n % len(in_order[k])] for n, k in enumerate(chosen)]
    scores = [held_out_nds(looked_at, classes, spread) for spread in SPREADS]
    return SPREADS[int(np.argmax(scores))]


def held_out_nds(frames: Sequence[LabelledFrame], classes: Sequence[str], spread: float) -> float:
    """Return NDS, 0 to 1, of predicting each of `FOLDS` parts of the frames from the others.

    Attributes are those that the speed suggests, of true boxes too: data sets keep none beside the boxes.

    Args:
        frames: frames of different drives, at least `FOLDS`.
        classes: names of the labels.
        spread: metres, see `fit_constant`.
    """
    truth, predicted = EvalBoxes(), EvalBoxes()
    for fold in range(FOLDS):
        constant = fit_constant([f for n, f in enumerate(frames) if n % FOLDS != fold], classes, spread)
        for number in range(fold, len(frames), FOLDS):
            token = str(number)
            truth.add_boxes(token, _devkit_boxes(token, frames[number], classes))
            predicted.add_boxes(token, _devkit_boxes(token, constant, classes))
    metrics = DetectionMetrics(OFFICIAL)
    for name in OFFICIAL.class_names:
        for distance in OFFICIAL.dist_ths:
            found = accumulate(truth, predicted, name, center_distance, distance)
            metrics.add_label_ap(name, distance, calc_ap(found, OFFICIAL.min_recall, OFFICIAL.min_precision))
            if distance == OFFICIAL.dist_th_tp:
                for error in TP_METRICS:
                    undefined = error in _WITHOUT.get(name, ())
                    value = np.nan if undefined else calc_tp(found, OFFICIAL.min_recall, error)
                    metrics.add_label_tp(name, error, value)
    return float(metrics.nd_score)


def _devkit_boxes(token: str, found: LabelledFrame | ConstantPrediction, classes: Sequence[str]) -> list[DetectionBox]:
    """Return the boxes within the range of their class, in the LiDAR frame: the devkit compares them in any."""
    scores = found.scores if isinstance(found, ConstantPrediction) else np.full(len(found.labels), -1.0)
    away = np.hypot(found.boxes[:, 0], found.boxes[:, 1])
    boxes = []
    for box, label, score, distance in zip(found.boxes.astype(float), found.labels, scores, away, strict=True):
        name = classes[label]
        if distance < OFFICIAL.class_range.get(name, 0.0):
            length, width, height, yaw = box[3:7]
            boxes.append(
                DetectionBox(
                    sample_token=token,
                    translation=tuple(box[:3]),
                    size=(width, length, height),
                    rotation=(np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)),
                    velocity=tuple(box[7:9]),
                    detection_name=name,
                    detection_score=float(score),
                    attribute_name=attribute_of(name, float(np.nan_to_num(np.hypot(box[7], box[8])))),
                )
            )
    return boxes
