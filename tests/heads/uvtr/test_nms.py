"""Suppression class by class, against a double loop over polygons."""

import pytest
import shapely
import torch
from mmdet3d.structures import LiDARInstance3DBoxes

from ponderv2.geometry import box_corners
from ponderv2.heads import classwise_nms

CLASSES = ("car", "barrier", "pedestrian")


def _crowd(count=60, seed=0):
    generator = torch.Generator().manual_seed(seed)
    u = torch.rand(count, 7, generator=generator)
    rows = u * torch.tensor([12.0, 12, 1, 3, 3, 2, 6]) + torch.tensor([-6.0, -6, -1, 0.5, 0.5, 0.5, -3])
    labels = torch.randint(0, 3, (count,), generator=generator)
    return LiDARInstance3DBoxes(rows, box_dim=7), torch.rand(count, generator=generator), labels


def _kept_by_loops(boxes, scores, labels, by_label):
    rows = boxes.tensor.clone()
    rows[:, :3] = boxes.gravity_center
    polygons = shapely.polygons(box_corners(rows.double())[:, [0, 1, 3, 2], :2].numpy())
    kept = []
    for k in scores.argsort(descending=True).tolist():
        threshold = by_label.get(labels[k].item())
        rivals = [m for m in kept if labels[m] == labels[k]] if threshold is not None else []
        ious = [polygons[k].intersection(polygons[m]).area / polygons[k].union(polygons[m]).area for m in rivals]
        if all(iou <= threshold for iou in ious):
            kept.append(k)
    return kept


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("thresholds", "by_label"),
    [(0.2, {0: 0.2, 1: 0.2, 2: 0.2}), (dict(barrier=0.1, car=0.4), {0: 0.4, 1: 0.1}), ({}, {})],
)
def test_kept_are_those_of_a_double_loop_in_order_of_scores(thresholds, by_label, seed):
    boxes, scores, labels = _crowd(seed=seed)
    kept = classwise_nms(boxes, scores, labels, thresholds, CLASSES)
    assert kept.tolist() == _kept_by_loops(boxes, scores, labels, by_label)


def test_every_near_duplicate_goes():
    boxes, scores, _ = _crowd(500)
    rows = boxes.tensor.clone()
    rows[:, 0] = 20.0 * torch.arange(500)
    duplicates = torch.cat([rows, rows + 1e-6 * torch.randn(rows.shape, generator=torch.Generator().manual_seed(1))])
    labels = torch.zeros(1000, dtype=torch.long)
    kept = classwise_nms(LiDARInstance3DBoxes(duplicates), torch.cat([scores, scores / 2]), labels, 0.1, CLASSES)
    assert sorted(kept.tolist()) == list(range(500))


def test_no_boxes_and_one_box_are_fine():
    boxes, scores, labels = _crowd(1)
    assert classwise_nms(boxes, scores, labels, 0.1, CLASSES).tolist() == [0]
    assert classwise_nms(boxes[:0], scores[:0], labels[:0], 0.1, CLASSES).shape == (0,)


def test_an_unknown_class_is_named():
    with pytest.raises(ValueError, match=r"'lorry'.*car"):
        classwise_nms(*_crowd(2), dict(lorry=0.2), CLASSES)
