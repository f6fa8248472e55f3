"""The fit of the constant predictor: the boxes that find most in frames like the labelled ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from mmdet3d.structures import LiDARInstance3DBoxes
from nuscenes.eval.detection.config import config_factory
from scipy.spatial import cKDTree
from scipy.stats import ncx2

from ponderv2.shapes import Float, Int

OFFICIAL = config_factory("detection_cvpr_2019")
PLACE_SPREAD = 1.0
"""Metres along x and along y: standard deviation of where objects of other frames stand around a labelled one, where
there are too few labelled drives to choose one by (see `place_spread`)."""

_SEPARATION = 0.5
_MOST_PLACES = 1000
_MOST_NEIGHBOURS = 256


@dataclass(frozen=True)
class LabelledFrame:
    """The boxes of a frame.

    Attributes:
        boxes: boxes in the LiDAR frame, `[n, 9]`: x, y, z of the gravity centre, l, w, h in metres, yaw in radians,
            vx, vy in m/s, NaN where unknown.
        labels: class of each box, `[n]`.
    """

    boxes: Float[np.ndarray, "n 9"]
    labels: Int[np.ndarray, "n"]


@dataclass(frozen=True)
class ConstantPrediction:
    """The boxes that are predicted in every frame, by descending score within each class.

    Attributes:
        boxes: boxes as in `LabelledFrame`, with velocities that are all known, `[k, 9]`.
        scores: expected precision of each box, the mean over the devkit's matching distances, `[k]`.
        labels: class of each box, `[k]`.
    """

    boxes: Float[np.ndarray, "k 9"]
    scores: Float[np.ndarray, "k"]
    labels: Int[np.ndarray, "k"]

    def sample(self, token: str) -> dict:
        """Return the prediction for a frame as mmengine hands it to a metric."""
        boxes = torch.from_numpy(self.boxes).float()
        return {
            "token": token,
            "pred_instances_3d": {
                "bboxes_3d": LiDARInstance3DBoxes(boxes, box_dim=9, origin=(0.5, 0.5, 0.5)),
                "scores_3d": torch.from_numpy(self.scores).float(),
                "labels_3d": torch.from_numpy(self.labels),
            },
        }


def fit_constant(
    frames: Sequence[LabelledFrame], classes: Sequence[str], spread: float = PLACE_SPREAD
) -> ConstantPrediction:
    """Fit the boxes that find most in frames like the labelled ones.

    Each class gets an equal share of the 500 boxes of a submission, because mAP is a mean over classes. They are chosen
    one after another among the places of its labelled boxes: the next one is where a box is the likeliest to match an
    object that no earlier one matches, averaged over the four matching distances, with objects standing `spread` from
    where they were labelled. That probability is its score. Heading and velocity are the medoids of the
    boxes around the place, size and height the means of the class. Nothing is drawn at random.

    Args:
        frames: labelled frames, at least one.
        classes: names of the labels.
        spread: metres, see `PLACE_SPREAD`.

    Raises:
        ValueError: there is no frame.
    """
    if not frames:
        raise ValueError("fit_constant: expected at least one labelled frame, got none")
    boxes = np.concatenate([frame.boxes for frame in frames]).astype(np.float64)
    labels = np.concatenate([frame.labels for frame in frames])
    frame_of = np.repeat(np.arange(len(frames)), [len(frame.labels) for frame in frames])
    reach = np.array([OFFICIAL.class_range.get(name, np.inf) for name in classes])
    # The devkit counts boxes up to a distance of the class.
    counted = np.linalg.norm(boxes[:, :2], axis=1) <= reach[labels]
    present = [label for label in range(len(classes)) if (counted & (labels == label)).any()]
    found = [np.zeros((0, 9))], [np.zeros(0)], [np.zeros(0, dtype=np.int64)]
    for label in present:
        of_class = counted & (labels == label)
        most = OFFICIAL.max_boxes_per_sample // len(present)
        chosen, scores = _fit_class(boxes[of_class], frame_of[of_class], len(frames), most, spread)
        for column, values in zip(found, (chosen, scores, np.full(len(scores), label, dtype=np.int64)), strict=True):
            column.append(values)
    return ConstantPrediction(*(np.concatenate(column) for column in found))


def _fit_class(
    boxes: np.ndarray, frame_of: np.ndarray, num_frames: int, most: int, spread: float
) -> tuple[np.ndarray, np.ndarray]:
    """Choose the boxes of one class one after another; returns them and their expected precisions."""
    distances = np.array(OFFICIAL.dist_ths)
    at_two = OFFICIAL.dist_ths.index(OFFICIAL.dist_th_tp)
    centers = boxes[:, :2]
    # Enough places to choose from; of millions of labelled boxes, evenly spaced ones.
    places = centers[np.unique(np.linspace(0, len(centers) - 1, min(len(centers), _MOST_PLACES)).astype(int))]
    pairs = cKDTree(places).sparse_distance_matrix(
        cKDTree(centers), distances.max() + 3 * spread, output_type="ndarray"
    )
    pairs = pairs[np.lexsort((pairs["j"], frame_of[pairs["j"]], pairs["i"]))]
    place, box = pairs["i"], pairs["j"]
    match = _match_probability(pairs["v"], distances, spread)
    # Runs of pairs of one place with the boxes of one frame: a prediction matches one box of a frame at most.
    starts = np.flatnonzero(np.diff(place * num_frames + frame_of[box], prepend=-1))
    place_of_run = place[starts]
    run_of_pair = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(pairs)))
    # The probability that no earlier prediction matches a box, at each distance.
    free = np.ones((len(boxes), len(distances)))
    open_places = np.ones(len(places), dtype=bool)
    size = boxes[:, 2:6].mean(axis=0)
    chosen, scores = [], []
    while len(chosen) < most and open_places.any():
        hits = match * free[box]
        total = np.add.reduceat(hits, starts)
        hits /= np.maximum(total, 1)[run_of_pair]
        expected = np.bincount(place_of_run, np.minimum(total, 1).mean(axis=1), minlength=len(places)) / num_frames
        best = int(np.where(open_places, expected, -1.0).argmax())
        near = np.flatnonzero(place == best)
        heading_and_speed = _heading_and_velocity(boxes[box[near]], hits[near, at_two])
        chosen.append([*places[best], *size, *heading_and_speed])
        scores.append(expected[best])
        free[box[near]] -= hits[near]
        open_places &= np.linalg.norm(places - places[best], axis=1) > _SEPARATION
    return np.array(chosen), np.array(scores)


def _match_probability(
    offsets: Float[np.ndarray, "p"], distances: Float[np.ndarray, "d"], spread: float
) -> Float[np.ndarray, "p d"]:
    """Return the probability that an object is within each distance of a place, if it stands around another place.

    Args:
        offsets: metres between the two places.
        distances: matching distances in metres.
        spread: standard deviation in metres, along x and y, of where it stands around the second place.
    """
    # The squared distance over spread² is non-central chi-squared with two degrees of freedom; a table is fine enough.
    table = np.linspace(0, offsets.max(initial=0.0), 512)
    columns = [ncx2.cdf((d / spread) ** 2, 2, np.maximum(table / spread, 1e-6) ** 2) for d in distances]
    return np.stack([np.interp(offsets, table, column) for column in columns], axis=1)


def _heading_and_velocity(boxes: Float[np.ndarray, "n 9"], weights: Float[np.ndarray, "n"]) -> list[float]:
    """Return yaw, vx and vy: weighted medoids, the values with the least expected error."""
    strongest = np.argsort(-weights, kind="stable")[:_MOST_NEIGHBOURS]
    boxes, weights = boxes[strongest], weights[strongest]
    turns = boxes[:, None, 6] - boxes[None, :, 6]
    turned = np.abs((turns + np.pi) % (2 * np.pi) - np.pi)
    yaw = boxes[int((turned @ weights).argmin()), 6]
    known = np.isfinite(boxes[:, 7:9]).all(axis=1)
    if not known.any():
        return [yaw, 0.0, 0.0]
    velocities = boxes[known, 7:9]
    apart = np.linalg.norm(velocities[:, None] - velocities[None], axis=2)
    return [yaw, *velocities[int((apart @ weights[known]).argmin())]]
