"""Scores of segmentation from a confusion matrix: IoU of each class, their mean, and tables."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.box import MARKDOWN
from rich.table import Table

from ponderv2.shapes import Float, Int

from .text_table import table_text


def confusion_matrix(
    labels: Int[np.ndarray, "p"], predictions: Int[np.ndarray, "p"], num_classes: int
) -> Int[np.ndarray, "k k"]:
    """Count points by their true class (row) and predicted class (column); negative labels are left out.

    Raises:
        ValueError: a class is out of range.
    """
    scored = labels >= 0
    labels, predictions = labels[scored], predictions[scored]
    for name, values in (("label", labels), ("prediction", predictions)):
        if len(values) and not 0 <= values.min() <= values.max() < num_classes:
            raise ValueError(f"{name}: expected 0 to {num_classes - 1}, got {values.min()} to {values.max()}")
    counts = np.bincount(labels * num_classes + predictions, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


@dataclass(frozen=True)
class SegmentationScore:
    """The scores of a confusion matrix, defined as the devkit defines them.

    Attributes:
        confusion: points by true class (row) and predicted class (column).
        classes: names of the classes.
    """

    confusion: Int[np.ndarray, "k k"]
    classes: tuple[str, ...]

    @property
    def points(self) -> Int[np.ndarray, "k"]:
        """The number of points of each class."""
        return self.confusion.sum(axis=1)

    @property
    def iou(self) -> Float[np.ndarray, "k"]:
        """Intersection over union of each class; NaN for classes that neither occur nor are predicted."""
        both = np.diagonal(self.confusion).astype(np.float64)
        union = self.points + self.confusion.sum(axis=0) - both
        return np.divide(both, union, out=np.full(len(both), np.nan), where=union > 0)

    @property
    def miou(self) -> float:
        """The mean IoU over the classes that occur or are predicted; NaN where there is none."""
        known = self.iou[~np.isnan(self.iou)]
        return float(known.mean()) if len(known) else float("nan")

    @property
    def fwiou(self) -> float:
        """The mean IoU weighted by the points of each class; NaN without points."""
        total = self.points.sum()
        return float((self.points * np.nan_to_num(self.iou)).sum() / total) if total else float("nan")

    @property
    def accuracy(self) -> float:
        """The share of points that are classified rightly; NaN without points."""
        total = self.points.sum()
        return float(np.trace(self.confusion) / total) if total else float("nan")

    def flat(self) -> dict[str, float]:
        """Return `mIoU`, `fwIoU`, `accuracy` and `<class>_IoU`, without those that are not defined."""
        values = {"mIoU": self.miou, "fwIoU": self.fwiou, "accuracy": self.accuracy}
        values |= {f"{name}_IoU": float(value) for name, value in zip(self.classes, self.iou, strict=True)}
        return {name: value for name, value in values.items() if value == value}


def range_names(limits: Sequence[float]) -> list[str]:
    """Return a name for each range of distances between limits (m): `0-20m`, `20-40m`, `40m+`."""
    ends = [0.0, *limits]
    inner = [f"{low:g}-{high:g}m" for low, high in itertools.pairwise(ends)]
    return [*inner, f"{ends[-1]:g}m+"]


def score_table(scores: dict[str, SegmentationScore]) -> str:
    """Return a table with a row for each class: points and IoU over all, then the IoU in each range.

    Args:
        scores: scores by name of the column; the first is over all points. "–" stands for what is not defined.
    """
    (whole, overall), *ranges = scores.items()
    table = Table("class", "points", f"IoU {whole}", *(f"IoU {name}" for name, _ in ranges), box=MARKDOWN)
    ious = [score.iou for score in scores.values()]
    for k, name in enumerate(overall.classes):
        table.add_row(name, str(overall.points[k]), *(_number(iou[k]) for iou in ious))
    table.add_row("mean", str(overall.points.sum()), *(_number(score.miou) for score in scores.values()))
    return table_text(table)


def _number(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"
