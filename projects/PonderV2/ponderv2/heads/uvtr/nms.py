"""Of boxes that overlap from above keep the best, class by class."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from mmdet3d.structures import LiDARInstance3DBoxes
from torch import Tensor

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
    """Indices of the boxes that stay, by descending score.

    Args:
        boxes, scores, labels: what was found in one sample, in any order.
        thresholds: rotated IoU from above beyond which the lower score goes: one for all classes, or one for each
            class named; classes without one keep all their boxes. Published 0.2 for barrier, motorcycle and
            traffic_cone.
        classes: names of the labels.

    Raises:
        ValueError: when `thresholds` names no class.
    """
    order = scores.argsort(descending=True, stable=True)
    flat, labels = boxes.bev[order], labels[order]
    kept = torch.ones_like(labels, dtype=torch.bool)
    for label, threshold in label_thresholds(thresholds, classes).items():
        members = (labels == label).nonzero().squeeze(1)
        kept[members] = rotated_nms(flat[members], threshold)
    return order[kept]


def label_thresholds(thresholds: Mapping[str, float] | float, classes: Sequence[str]) -> dict[int, float]:
    """Thresholds by label instead of by name.

    Raises:
        ValueError: for a name that is no class.
    """
    if not isinstance(thresholds, Mapping):
        return dict.fromkeys(range(len(classes)), float(thresholds))
    unknown = [name for name in thresholds if name not in classes]
    if unknown:
        raise ValueError(f"NMS threshold for {unknown[0]!r}: expected one of the classes {tuple(classes)}")
    return {list(classes).index(name): float(value) for name, value in thresholds.items()}


def rotated_nms(rectangles: Float[Tensor, "n 5"], threshold: float) -> Bool[Tensor, "n"]:
    """Which rectangles (x, y, l, w, yaw), best first, stay: those with no better one that stays and overlaps more.

    Overlaps are those of `ponderv2.heads.uvtr.rotated_iou`, as mmcv's can miss an exact duplicate.
    """
    better, worse = _pairs_that_may_meet(rectangles)
    beyond = torch.cat(
        [
            paired_iou_bev(rectangles[first], rectangles[second]) > threshold
            for first, second in zip(better.split(_PAIRS_AT_ONCE), worse.split(_PAIRS_AT_ONCE), strict=True)
        ]
    )
    better, worse = better[beyond].cpu().numpy(), worse[beyond].cpu().numpy()
    stays = np.ones(len(rectangles), dtype=bool)
    # Pairs come by the better one, so whether it stays is settled when its turn comes.
    starts = np.searchsorted(better, np.arange(len(rectangles) + 1))
    for k in range(len(rectangles)):
        if stays[k]:
            stays[worse[starts[k] : starts[k + 1]]] = False
    return torch.from_numpy(stays).to(rectangles.device)


def _pairs_that_may_meet(rectangles: Float[Tensor, "n 5"]) -> tuple[Int[Tensor, "p"], Int[Tensor, "p"]]:
    """Pairs i < j, by i, whose circles about their corners touch."""
    reach = rectangles[:, 2:4].norm(dim=1) / 2
    x, y = rectangles[:, 0], rectangles[:, 1]
    distance = torch.hypot(x[:, None] - x, y[:, None] - y)
    near = (distance <= reach[:, None] + reach).triu(diagonal=1)
    return near.nonzero(as_tuple=True)
