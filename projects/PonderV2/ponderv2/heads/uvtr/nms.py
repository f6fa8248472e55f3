"""Non-maximum suppression of rotated boxes seen from above, class by class."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from mmdet3d.structures import LiDARInstance3DBoxes
from torch import Tensor

from ponderv2.heads.suppression import suppress_by_class
from ponderv2.shapes import Bool, Float, Int

from .rotated_iou import paired_iou_bev

_PAIRS_AT_ONCE = 1 << 18


def classwise_nms(
    boxes: LiDARInstance3DBoxes,
    scores: Float[Tensor, "n"],
    labels: Int[Tensor, "n"],
    thresholds: Mapping[str, float] | float,
    classes: Sequence[str],
) -> Int[Tensor, "k"]:
    """Return the indices of the boxes that are kept, by descending score.

    Args:
        boxes: predicted boxes of one sample, in any order.
        scores: their scores.
        labels: their classes.
        thresholds: rotated IoU from above beyond which the box with the lower score is dropped: one for all classes,
            or one for each class that is named. Classes without a threshold keep all their boxes. Published are 0.2
            for barrier, motorcycle and traffic_cone.
        classes: names of the labels.

    Raises:
        ValueError: when a name in `thresholds` is no class.
    """
    flat = boxes.bev
    return suppress_by_class(
        scores,
        labels,
        label_thresholds(thresholds, classes),
        lambda members, threshold: rotated_nms(flat[members], threshold),
    )


def label_thresholds(thresholds: Mapping[str, float] | float, classes: Sequence[str]) -> dict[int, float]:
    """Return the thresholds by label instead of by name.

    Raises:
        ValueError: when a name is no class.
    """
    if not isinstance(thresholds, Mapping):
        return dict.fromkeys(range(len(classes)), float(thresholds))
    unknown = [name for name in thresholds if name not in classes]
    if unknown:
        raise ValueError(f"NMS threshold for {unknown[0]!r}: expected one of the classes {tuple(classes)}")
    return {list(classes).index(name): float(value) for name, value in thresholds.items()}


def rotated_nms(rectangles: Float[Tensor, "n 5"], threshold: float) -> Bool[Tensor, "n"]:
    """Return which rectangles are kept: those that no better rectangle overlaps by more than the threshold.

    Only better rectangles that are kept themselves count. Overlaps come from `rotated_iou`, because mmcv's overlap can
    miss an exact duplicate.

    Args:
        rectangles: (x, y, l, w, yaw), by descending score, metres and radians.
        threshold: IoU beyond which the worse of two rectangles is dropped.
    """
    better, worse = _pairs_that_may_overlap(rectangles)
    beyond = torch.cat(
        [
            paired_iou_bev(rectangles[first], rectangles[second]) > threshold
            for first, second in zip(better.split(_PAIRS_AT_ONCE), worse.split(_PAIRS_AT_ONCE), strict=True)
        ]
    )
    better, worse = better[beyond].cpu().numpy(), worse[beyond].cpu().numpy()
    is_kept = np.ones(len(rectangles), dtype=bool)
    # Pairs are sorted by the better rectangle, so it is settled whether that one is kept when its turn comes.
    starts = np.searchsorted(better, np.arange(len(rectangles) + 1))
    for k in range(len(rectangles)):
        if is_kept[k]:
            is_kept[worse[starts[k] : starts[k + 1]]] = False
    return torch.from_numpy(is_kept).to(rectangles.device)


def _pairs_that_may_overlap(rectangles: Float[Tensor, "n 5"]) -> tuple[Int[Tensor, "p"], Int[Tensor, "p"]]:
    """Return pairs i < j, sorted by i, whose circumscribed circles touch."""
    reach = rectangles[:, 2:4].norm(dim=1) / 2
    x, y = rectangles[:, 0], rectangles[:, 1]
    distance = torch.hypot(x[:, None] - x, y[:, None] - y)
    near = (distance <= reach[:, None] + reach).triu(diagonal=1)
    return near.nonzero(as_tuple=True)
