"""Augmentation matrices against hand-worked points, OpenCV and numpy."""

import math

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ponderv2.geometry import (
    flip_matrix,
    image_crop,
    image_flip,
    image_resize,
    image_rotate,
    rotation_z,
    scaling_matrix,
    transform_points,
    translation_matrix,
)

QUICK = settings(max_examples=25, deadline=None)
angles = st.floats(-math.pi, math.pi)
sizes = st.integers(1, 2000)
IDENTITY = torch.eye(4, dtype=torch.float64)


def moved(matrix: torch.Tensor, u: float, v: float) -> torch.Tensor:
    return (matrix @ torch.tensor([u, v, 1.0, 1.0], dtype=torch.float64))[:2]


def pixel(u: float, v: float) -> torch.Tensor:
    return torch.tensor([u, v], dtype=torch.float64)


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (rotation_z(math.pi / 2), (-2, 1, 3)),
        (scaling_matrix(2.0), (2, 4, 6)),
        (translation_matrix((10.0, 20.0, 30.0)), (11, 22, 33)),
        (flip_matrix(x=True), (-1, 2, 3)),
        (flip_matrix(y=True), (1, -2, 3)),
        (flip_matrix(x=True, y=True), (-1, -2, 3)),
        (flip_matrix(), (1, 2, 3)),
    ],
)
def test_scene_matrices_do_what_their_names_say(matrix, expected):
    points = torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64)
    torch.testing.assert_close(transform_points(matrix, points)[0], torch.tensor(expected, dtype=torch.float64))


@QUICK
@given(angles, angles)
def test_turns_about_z_add_up_and_keep_lengths(a, b):
    torch.testing.assert_close(rotation_z(a) @ rotation_z(b), rotation_z(a + b))
    torch.testing.assert_close(rotation_z(a) @ rotation_z(a).T, IDENTITY)


@QUICK
@given(sizes, st.floats(-100, 2100), st.floats(-100, 2100))
def test_mirroring_twice_is_nothing_and_swaps_the_outer_edges(width, u, v):
    flip = image_flip(width)
    torch.testing.assert_close(flip @ flip, IDENTITY)
    torch.testing.assert_close(moved(flip, -0.5, v), pixel(width - 0.5, v))
    torch.testing.assert_close(moved(flip, u, v), pixel(width - 1 - u, v))


@QUICK
@given(sizes, sizes, sizes, sizes)
def test_resizing_brings_outer_edges_to_outer_edges(width, height, new_width, new_height):
    resize = image_resize(new_width / width, new_height / height)
    torch.testing.assert_close(moved(resize, -0.5, -0.5), pixel(-0.5, -0.5))
    torch.testing.assert_close(moved(resize, width - 0.5, height - 0.5), pixel(new_width - 0.5, new_height - 0.5))


@QUICK
@given(st.integers(-500, 500), st.integers(-500, 500))
def test_cropping_and_adding_the_same_is_nothing(left, top):
    torch.testing.assert_close(image_crop(-left, -top) @ image_crop(left, top), IDENTITY)
    torch.testing.assert_close(moved(image_crop(left, top), left, top), pixel(0, 0))


@QUICK
@given(angles, sizes, sizes)
def test_turning_keeps_the_centre_and_is_opencv_s_turn(angle, width, height):
    center = ((width - 1) / 2, (height - 1) / 2)
    turn = image_rotate(angle, width, height)
    torch.testing.assert_close(moved(turn, *center), pixel(*center), rtol=0, atol=1e-9)
    reference = torch.from_numpy(cv2.getRotationMatrix2D(center, math.degrees(angle), 1.0))
    torch.testing.assert_close(turn[:2, :3], reference, rtol=1e-9, atol=1e-9)
    back = image_rotate(-angle, width, height)
    torch.testing.assert_close(back @ turn, IDENTITY, rtol=0, atol=1e-9)


def test_a_quarter_turn_counter_clockwise_brings_the_right_to_the_top():
    torch.testing.assert_close(moved(image_rotate(math.pi / 2, 101, 101), 100, 50), pixel(50, 0))


@QUICK
@given(st.floats(0.5, 2.0), st.integers(1, 500), st.integers(1, 500), st.floats(0.1, 90))
def test_image_matrices_act_the_same_at_every_depth(scale, left, top, depth):
    matrix = image_crop(left, top) @ image_resize(scale, scale)
    at_depth = matrix @ torch.tensor([30.0 * depth, 20.0 * depth, depth, 1.0], dtype=torch.float64)
    torch.testing.assert_close(at_depth[:2] / depth, moved(matrix, 30.0, 20.0))
    torch.testing.assert_close(at_depth[2:], torch.tensor([depth, 1.0], dtype=torch.float64))


@pytest.mark.parametrize(("method", "factor"), [(cv2.INTER_LINEAR, 2.5), (cv2.INTER_AREA, 0.5), (cv2.INTER_AREA, 0.25)])
def test_opencv_s_resize_moves_content_as_the_matrix_says(method, factor):
    v, u = np.mgrid[:40, :80].astype(np.float32)
    new_width, new_height = round(80 * factor), round(40 * factor)
    inverse = torch.linalg.inv(image_resize(new_width / 80, new_height / 40))
    for source, axis in ((u, 0), (v, 1)):
        resized = cv2.resize(source, (new_width, new_height), interpolation=method)
        for row, column in ((new_height // 2, new_width // 3), (new_height // 3, new_width // 2)):
            assert resized[row, column] == pytest.approx(moved(inverse, column, row)[axis].item(), abs=1e-3)


def test_opencv_s_warp_moves_content_as_the_turn_says():
    v, u = np.mgrid[:61, :81].astype(np.float64)
    turn = image_rotate(0.3, 81, 61)
    for source, axis in ((u, 0), (v, 1)):
        warped = cv2.warpAffine(source, turn[:2, :3].numpy(), (81, 61), flags=cv2.INTER_LINEAR)
        came_from = moved(torch.linalg.inv(turn), 50, 20)[axis].item()
        assert warped[20, 50] == pytest.approx(came_from, abs=0.05)  # OpenCV interpolates in 1/32 pixel
