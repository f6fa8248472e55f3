"""Boxes to codes and back."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet3d.structures import LiDARInstance3DBoxes

from ponderv2.heads.uvtr.box_code import CENTER, boxes_with_velocity, decode_boxes, encode_boxes, lidar_boxes
from tests.factories.uvtr import boxes_of

place = st.floats(-100, 100)
size = st.floats(0.01, 100)
rows = st.tuples(place, place, place, size, size, size, st.floats(-3.14, 3.14), place, place)


@settings(max_examples=100, deadline=None)
@given(st.lists(rows, min_size=1, max_size=5))
def test_decoding_a_code_gives_the_box_back(boxes):
    boxes = torch.tensor(boxes, dtype=torch.float64)
    torch.testing.assert_close(decode_boxes(encode_boxes(boxes)), boxes, rtol=0, atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.lists(rows, min_size=1, max_size=5), st.floats(0.1, 10))
def test_length_of_the_sine_and_cosine_does_not_matter(boxes, scale):
    code = encode_boxes(torch.tensor(boxes, dtype=torch.float64))
    code[:, 6:8] *= scale
    torch.testing.assert_close(decode_boxes(code), torch.tensor(boxes, dtype=torch.float64), rtol=0, atol=1e-9)


def test_code_has_the_documented_order():
    code = encode_boxes(torch.tensor([[1.0, 2, 3, 4, 5, 6, math.pi / 6, 7, 8]]))
    expected = [1, 2, math.log(4), math.log(5), 3, math.log(6), 0.5, math.sqrt(3) / 2, 7, 8]
    torch.testing.assert_close(code, torch.tensor([expected]))
    assert code[0, CENTER].tolist() == [1, 2, 3]


def test_unknown_velocity_stays_unknown_and_the_rest_known():
    code = encode_boxes(boxes_with_velocity(LiDARInstance3DBoxes(boxes_of(2), box_dim=9)))
    assert torch.isnan(code[1, 8:]).all()
    assert torch.isfinite(code[1, :8]).all()
    assert torch.isfinite(code[0]).all()
    assert torch.isnan(decode_boxes(code)[1, 7:]).all()


def test_boxes_of_mmdet3d_go_there_and_back_with_the_centre_half_a_height_up():
    boxes = LiDARInstance3DBoxes(boxes_of(4), box_dim=9)
    rows = boxes_with_velocity(boxes)
    torch.testing.assert_close(rows[:, 2], boxes.tensor[:, 2] + boxes.tensor[:, 5] / 2)
    torch.testing.assert_close(lidar_boxes(rows).tensor, boxes.tensor, equal_nan=True)
    torch.testing.assert_close(lidar_boxes(rows).corners, boxes.corners)


def test_boxes_without_velocity_have_an_unknown_one():
    rows = boxes_with_velocity(LiDARInstance3DBoxes(boxes_of(3)[:, :7]))
    assert rows.shape == (3, 9)
    assert torch.isnan(rows[:, 7:]).all()


@pytest.mark.parametrize("count", [0, 1])
def test_any_number_of_boxes_is_converted(count):
    boxes = LiDARInstance3DBoxes(torch.zeros(count, 9) + 1, box_dim=9)
    assert lidar_boxes(decode_boxes(encode_boxes(boxes_with_velocity(boxes)))).tensor.shape == (count, 9)


def test_absurd_sizes_stay_finite():
    boxes = decode_boxes(torch.full((1, 10), 1000.0))
    assert torch.isfinite(boxes).all()
    assert (decode_boxes(torch.full((1, 10), -1000.0))[:, 3:6] > 0).all()
