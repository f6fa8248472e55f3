"""Segmentation of single points: what their height, range and intensity tell, with no look at any other point.

A segmentor that has learned no more than that scores as much. It is fitted to labelled frames and scored on those of
the validation split by the devkit's confusion matrix.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from nuscenes import NuScenes
from nuscenes.eval.lidarseg.utils import ConfusionMatrix, LidarsegClassMapper
from sklearn.ensemble import HistGradientBoostingClassifier
from tqdm import tqdm

from ponderv2.shapes import Float, Int
from synthetic_nuscenes.views.points_in_car import labels_of, points_in_car

from .paired_scores import summarize
from .runs import StudyError

FEATURES = ("height above the car's ground plane, m", "range from the car's origin, m", "intensity")
POINTS_A_CLASS = 20_000
"""Points of a class that the classifier is fitted to, at most, evenly from all labelled frames."""
ROUNDS = 60
"""Trees a class."""
FIT = 1
"""Number of the way in which it is fitted and scored. Whoever changes it raises it, so that no score is reused."""
WEIGHTS = (
    "fitted with weights of one over the square root of the share of the class; probabilities are multiplied with the "
    "power of the share that gives the best mIoU on the labelled points"
)
_BY_SEED = ("mIoU", "classes", "most_frequent", "power", "points")
"""What differs between seeds."""
_BATCH = 10
"""Frames that are classified at a time: threads that share the cores wait for each other at every tree."""
_POWERS = (-0.5, -0.375, -0.25, -0.125, 0.0, 0.125, 0.25, 0.375, 0.5)


@dataclass(frozen=True)
class LabelledPoints:
    """Points with classes.

    Attributes:
        features: `FEATURES` of each point, `[n, 3]`.
        classes: class of each point, `[n]`: 1 to 16, 0 is ignored.
        weights: number of points that each one stands for, `[n]`.
    """

    features: Float[np.ndarray, "n 3"]
    classes: Int[np.ndarray, "n"]
    weights: Float[np.ndarray, "n"]


class PointClassifier:
    """A gradient-boosted classifier of single points.

    Args:
        points: points to fit it to.
        seed: seed of the fit.

    Raises:
        StudyError: the points are of one class, or of none.
    """

    def __init__(self, points: LabelledPoints, seed: int) -> None:
        share = np.bincount(points.classes, points.weights)
        share /= share.sum()
        if np.count_nonzero(share[1:]) < 2:
            raise StudyError("points alone: the labelled frames have points of fewer than two classes; nothing to tell")
        weights = points.weights / np.sqrt(share[points.classes])
        self._trees = HistGradientBoostingClassifier(max_iter=ROUNDS, early_stopping=False, random_state=seed)
        self._trees.fit(points.features, points.classes, sample_weight=weights / weights.mean())
        self.classes = self._trees.classes_
        self._share = share[self.classes]
        probabilities = self._trees.predict_proba(points.features)
        scores = [_weighted_iou(points, self._decide(probabilities, power)) for power in _POWERS]
        self.power = _POWERS[int(np.argmax(scores))]

    def predict(self, features: Float[np.ndarray, "n 3"]) -> Int[np.ndarray, "n"]:
        """Return the class of each point."""
        return self._decide(self._trees.predict_proba(features), self.power)

    def _decide(self, probabilities: np.ndarray, power: float) -> np.ndarray:
        return self.classes[(probabilities * self._share**power).argmax(axis=1)]


def _weighted_iou(points: LabelledPoints, predicted: np.ndarray) -> float:
    """Return the mean IoU over the classes that occur, where each point counts by its weight."""
    size = int(max(points.classes.max(), predicted.max())) + 1
    found = np.zeros((size, size))
    np.add.at(found, (points.classes, predicted), points.weights)
    both = np.diag(found)
    union = found.sum(axis=0) + found.sum(axis=1) - both
    return float((both[union > 0] / union[union > 0]).mean())


def features_of(nuscenes: NuScenes, sample: dict) -> Float[np.ndarray, "n 3"]:
    """Return `FEATURES` of the points of a key frame."""
    data = sample["data"]["LIDAR_TOP"]
    intensity = np.fromfile(nuscenes.get_sample_data_path(data), np.float32).reshape(-1, 5)[:, 3]
    places = points_in_car(nuscenes, data)
    return np.stack([places[:, 2], np.linalg.norm(places[:, :2], axis=1), intensity], axis=1)


def score_points(nuscenes: NuScenes, labelled: Sequence[str], scored: Sequence[str], seed: int = 0) -> dict:
    """Fit a classifier of single points to labelled key frames and score it on others, beside the most frequent class.

    Args:
        nuscenes: a data set with labels of points.
        labelled: tokens of the key frames to fit to.
        scored: tokens of the key frames to score on.
        seed: seed of the choice of points and of the fit.

    Returns:
        `mIoU` and IoU of each class under `classes`, from 0 to 1 (None where the scored frames have no point of a
        class, nor a prediction of it); `most_frequent` with its `class` and `mIoU`; what it was fitted to.

    Raises:
        StudyError: the data set has no labels of points.
    """
    if not getattr(nuscenes, "lidarseg", None):
        raise StudyError(f"points alone: {nuscenes.dataroot} has no lidarseg labels ({nuscenes.version}/lidarseg.json)")
    mapper = LidarsegClassMapper(nuscenes)
    names = {index: name for name, index in mapper.coarse_name_2_coarse_idx_mapping.items()}
    points = _sample(nuscenes, mapper, labelled, np.random.default_rng(seed))
    classifier = PointClassifier(points, seed)
    frequent = int(np.bincount(points.classes, points.weights).argmax())
    matrices = [ConfusionMatrix(len(names), 0) for _ in range(2)]
    for start in tqdm(range(0, len(scored), _BATCH), desc="points", leave=False):
        samples = [nuscenes.get("sample", token) for token in scored[start : start + _BATCH]]
        truth = np.concatenate([labels_of(nuscenes, mapper, sample["data"]["LIDAR_TOP"]) for sample in samples])
        features = np.concatenate([features_of(nuscenes, sample) for sample in samples])
        matrices[0].update(truth, classifier.predict(features))
        matrices[1].update(truth, np.full(len(truth), frequent))
    by_class = {names[k]: _plain(value) for k, value in enumerate(matrices[0].get_per_class_iou()) if k > 0}
    return {
        "mIoU": matrices[0].get_mean_iou(),
        "classes": by_class,
        "most_frequent": {"class": names[frequent], "mIoU": matrices[1].get_mean_iou()},
        "features": list(FEATURES),
        "weights": WEIGHTS,
        "power": classifier.power,
        "points": len(points.classes),
        "labelled_frames": len(labelled),
        "scored_frames": len(scored),
    }


def points_entry(found: Sequence[dict], fraction: float, seeds: Sequence[int]) -> dict:
    """Return what `score_points` found of several seeds as one: every number is the mean over them.

    The IoU of a class is the mean over the seeds that have one, None where none has. The most frequent class is that of
    most seeds, and its mIoU the mean over those.

    Args:
        found: what `score_points` returned for each seed.
        fraction: share of the labelled frames.
        seeds: the seeds, in the same order.
    """
    spread = summarize([result["mIoU"] for result in found])
    frequent = [result["most_frequent"] for result in found]
    usual = Counter(entry["class"] for entry in frequent).most_common(1)[0][0]
    same = {key: value for key, value in found[0].items() if key not in _BY_SEED}
    return {
        "mIoU": spread.mean,
        "std": spread.std,
        "values": spread.values,
        "fraction": fraction,
        "seeds": list(seeds),
        "n": len(found),
        "classes": {name: _mean(result["classes"][name] for result in found) for name in found[0]["classes"]},
        "most_frequent": {
            "class": usual,
            "mIoU": _mean(entry["mIoU"] for entry in frequent if entry["class"] == usual),
        },
        **same,
        "power": _mean(result["power"] for result in found),
        "points": _mean(result["points"] for result in found),
    }


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _sample(
    nuscenes: NuScenes, mapper: LidarsegClassMapper, tokens: Sequence[str], rng: np.random.Generator
) -> LabelledPoints:
    """Draw points of each class from each frame; a point counts for as many as it was drawn from."""
    most = max(1, POINTS_A_CLASS // len(tokens))
    parts = []
    for token in tokens:
        sample = nuscenes.get("sample", token)
        features = features_of(nuscenes, sample)
        classes = labels_of(nuscenes, mapper, sample["data"]["LIDAR_TOP"])
        for label in np.unique(classes[classes > 0]):
            places = np.flatnonzero(classes == label)
            chosen = rng.choice(places, min(most, len(places)), replace=False)
            parts.append((features[chosen], classes[chosen], np.full(len(chosen), len(places) / len(chosen))))
    if not parts:
        raise StudyError("points alone: the labelled frames have no labelled point")
    return LabelledPoints(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
