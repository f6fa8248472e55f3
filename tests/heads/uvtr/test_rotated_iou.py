"""Overlaps against polygons of shapely, also where mmcv's kernel errs."""

import math

import numpy as np
import pytest
import shapely
import torch
from mmcv.ops import box_iou_rotated

from ponderv2.geometry import box_corners
from ponderv2.heads.uvtr.rotated_iou import paired_iou_3d, paired_iou_bev


def _polygons(boxes):
    return shapely.polygons(box_corners(boxes.double())[:, [0, 1, 3, 2], :2].numpy())


def _iou_3d_by_polygons(first, second):
    shared = shapely.area(shapely.intersection(_polygons(first), _polygons(second)))
    a, b = first.double().numpy(), second.double().numpy()
    top = np.minimum(a[:, 2] + a[:, 5] / 2, b[:, 2] + b[:, 5] / 2)
    bottom = np.maximum(a[:, 2] - a[:, 5] / 2, b[:, 2] - b[:, 5] / 2)
    shared = shared * np.clip(top - bottom, 0, None)
    return shared / (a[:, 3:6].prod(axis=1) + b[:, 3:6].prod(axis=1) - shared)


def _boxes(count):
    generator = torch.Generator().manual_seed(0)
    u = torch.rand(count, 7, generator=generator)
    low = torch.tensor([-50.0, -50, -3, 0.3, 0.3, 0.3, -3.2])
    return low + u * torch.tensor([100.0, 100, 6, 5, 5, 5, 6.4])


@pytest.mark.parametrize("shift", [0.0, 1e-6, 1e-3, 0.1, 1.0, 3.0])
def test_overlap_of_near_boxes_is_that_of_the_polygons(shift):
    first = _boxes(2000)
    second = first + shift * torch.randn(first.shape, generator=torch.Generator().manual_seed(1))
    second[:, 3:6] = second[:, 3:6].abs() + 0.1 * (shift > 0)
    np.testing.assert_allclose(paired_iou_3d(first, second), _iou_3d_by_polygons(first, second), atol=1e-5)


@pytest.mark.parametrize("turn", [0.5, 1.0, 1.5, 2.0])
def test_overlap_is_exact_for_parallel_and_upright_edges(turn):
    first = _boxes(500)
    first[:100, 6] = 0
    second = first.clone()
    second[:, 6] += turn * math.pi
    np.testing.assert_allclose(paired_iou_3d(first, second), _iou_3d_by_polygons(first, second), atol=1e-5)


def test_overlap_from_above_is_that_of_the_polygons_and_symmetric():
    first = _boxes(1000)
    second = first + torch.randn(first.shape, generator=torch.Generator().manual_seed(2)).clamp(-1, 1) * 0.25
    plan = [0, 1, 3, 4, 6]
    iou = paired_iou_bev(first[:, plan], second[:, plan])
    shared = shapely.area(shapely.intersection(_polygons(first), _polygons(second)))
    union = shapely.area(shapely.union(_polygons(first), _polygons(second)))
    np.testing.assert_allclose(iou, shared / union, atol=1e-5)
    torch.testing.assert_close(iou, paired_iou_bev(second[:, plan], first[:, plan]), rtol=0, atol=1e-5)


def test_duplicates_that_mmcv_misses_overlap_fully():
    first = _boxes(5000)[:, [0, 1, 3, 4, 6]]
    second = first + 1e-6 * torch.randn(first.shape, generator=torch.Generator().manual_seed(3))
    assert box_iou_rotated(first, second, aligned=True).min() < 0.5  # the fault that is worked around
    assert paired_iou_bev(first, second).min() > 0.999


def test_boxes_apart_do_not_overlap_and_no_boxes_are_no_overlaps():
    first = _boxes(10)
    assert (paired_iou_3d(first, first + torch.tensor([20.0, 0, 0, 0, 0, 0, 0])) == 0).all()
    assert (paired_iou_3d(first, first + torch.tensor([0.0, 0, 20, 0, 0, 0, 0])) == 0).all()
    assert paired_iou_3d(first[:0], first[:0]).shape == (0,)
