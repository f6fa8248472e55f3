"""The box convention, against mmdet3d and by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet3d.structures import LiDARInstance3DBoxes

from ponderv2.geometry import box_corners

boxes = st.lists(
    st.tuples(*[st.floats(-50, 50)] * 2, st.floats(-4, 4), *[st.floats(0.2, 15)] * 3, st.floats(-7, 7)),
    min_size=1,
    max_size=6,
).map(lambda rows: torch.tensor(rows, dtype=torch.float64))


@settings(max_examples=25, deadline=None)
@given(boxes)
def test_corners_are_those_of_mmdet3d(box):
    ours = box_corners(box)
    theirs = LiDARInstance3DBoxes(box.float(), origin=(0.5, 0.5, 0.5)).corners.double()
    between = torch.cdist(ours, theirs)
    assert between.min(dim=1).values.max() < 1e-3
    assert between.min(dim=2).values.max() < 1e-3


def test_corner_bits_are_forward_left_and_up_of_the_box():
    box = torch.tensor([[10.0, 20.0, 1.0, 4.0, 2.0, 1.0, 0.0]], dtype=torch.float64)
    corners = box_corners(box)[0]
    assert corners[0].tolist() == [8.0, 19.0, 0.5]
    assert corners[1].tolist() == [12.0, 19.0, 0.5]
    assert corners[2].tolist() == [8.0, 21.0, 0.5]
    assert corners[4].tolist() == [8.0, 19.0, 1.5]
    assert corners[7].tolist() == [12.0, 21.0, 1.5]


def test_a_quarter_turn_to_the_left_points_the_length_along_y():
    box = torch.tensor([[0.0, 0.0, 0.0, 4.0, 2.0, 1.0, math.pi / 2]], dtype=torch.float64)
    corners = box_corners(box)[0]
    assert (corners.max(dim=0).values * 2).tolist() == pytest.approx([2.0, 4.0, 1.0])
    front = corners[[1, 3, 5, 7]].mean(dim=0)
    assert front.tolist() == pytest.approx([0.0, 2.0, 0.0])


@settings(max_examples=25, deadline=None)
@given(boxes)
def test_corners_surround_the_centre_and_span_the_sizes(box):
    corners = box_corners(box)
    torch.testing.assert_close(corners.mean(dim=1), box[:, :3])
    for axis in range(3):
        edge = (corners[:, 1 << axis] - corners[:, 0]).norm(dim=1)
        torch.testing.assert_close(edge, box[:, 3 + axis])


def test_no_boxes_have_no_corners():
    assert box_corners(torch.zeros(0, 7)).shape == (0, 8, 3)
