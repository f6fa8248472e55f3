"""Rectangles of boxes on images, against points that fill the boxes."""

import numpy as np
import pytest

from ponderv2.datasets.transforms.image_boxes import NEAR, image_boxes

# A camera at the origin that looks along +y of the LiDAR frame: u to +x, v to -z.
LIDAR2CAM = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
CAM2IMG = np.array([[50.0, 0, 39.5, 0], [0, 50, 29.5, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
LIDAR2IMG = CAM2IMG @ LIDAR2CAM
SIZE = (60, 80)


def by_points(box: np.ndarray) -> np.ndarray | None:
    """The rectangle around the pixels that many points of the box fall on."""
    steps = np.linspace(-0.5, 0.5, 61)
    local = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3) * box[3:6]
    c, s = np.cos(box[6]), np.sin(box[6])
    points = local @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) + box[:3]
    uvd = points @ LIDAR2IMG[:3, :3].T + LIDAR2IMG[:3, 3]
    uvd = uvd[uvd[:, 2] >= NEAR]
    if not len(uvd):
        return None
    pixels = np.floor(uvd[:, :2] / uvd[:, 2:] + 0.5)
    on_image = (pixels >= 0).all(axis=1) & (pixels < SIZE[::-1]).all(axis=1)
    if not on_image.any():
        return None
    lower, upper = pixels.min(axis=0).clip(0), (pixels.max(axis=0) + 1).clip(max=SIZE[::-1])
    return np.concatenate([lower, upper])


@pytest.mark.parametrize(
    ("box", "whole"),
    [
        ([1.0, 10.0, 0.5, 4.0, 1.8, 1.6, 0.7], True),
        ([-6.0, 9.0, -1.0, 4.0, 1.8, 1.6, 2.0], True),  # cut at the left
        ([1.0, 1.2, 0.3, 4.0, 1.8, 1.6, 1.5], False),  # beside the camera, a part behind it
    ],
)
def test_rectangles_are_those_of_points_in_the_box(box, whole):
    found = image_boxes(np.array([box]), LIDAR2IMG, SIZE)
    # Points fill a box but for half a step, which near the camera is several pixels outside of the image.
    np.testing.assert_allclose(found.rectangles[0], by_points(np.array(box)), atol=1)
    assert found.seen[0]
    assert found.whole[0] == whole
    assert found.depth[0] == pytest.approx(box[1])


@pytest.mark.parametrize(
    "box",
    [
        [0.0, -10.0, 0.0, 4.0, 1.8, 1.6, 0.0],  # behind
        [30.0, 10.0, 0.0, 4.0, 1.8, 1.6, 0.0],  # off to the right
        [0.0, 10.0, 20.0, 4.0, 1.8, 1.6, 0.0],  # above
    ],
)
def test_what_is_not_on_the_image_is_not_seen_and_has_an_empty_rectangle(box):
    found = image_boxes(np.array([box]), LIDAR2IMG, SIZE)
    assert not found.seen[0]
    assert not found.whole[0]
    left, top, right, bottom = found.rectangles[0]
    assert np.zeros(SIZE)[top:bottom, left:right].size == 0
    assert by_points(np.array(box)) is None


def test_no_boxes_give_no_rectangles():
    found = image_boxes(np.zeros((0, 7)), LIDAR2IMG, SIZE)
    assert found.rectangles.shape == (0, 4)
    assert found.sides.shape == (0, 2)


def test_a_box_that_fills_one_pixel_has_a_side_of_one():
    # The centre of pixel (40, 30) at 10 m, and a box far smaller than a pixel.
    box = np.array([[0.5 / 50 * 10, 10.0, -0.5 / 50 * 10, 0.01, 0.01, 0.01, 0.0]])
    assert image_boxes(box, LIDAR2IMG, SIZE).rectangles.tolist() == [[40, 30, 41, 31]]
