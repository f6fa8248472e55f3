"""Points in boxes: by the axes of the box, in any direction."""

import numpy as np
import pytest

from ponderv2.geometry import points_in_box, to_box_frame


@pytest.mark.parametrize("yaw", [0.0, 0.7, -2.5])
def test_points_in_a_box_are_those_that_its_axes_say(yaw):
    rng = np.random.default_rng(0)
    box = np.array([3.0, -2.0, 0.5, 4.0, 1.5, 2.0, yaw])
    points = rng.uniform(-3, 3, (5000, 3)) + box[:3]
    axes = np.array([[np.cos(yaw), np.sin(yaw), 0], [-np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    expected = [k for k, p in enumerate(points) if (np.abs(axes @ (p - box[:3])) <= box[3:6] / 2).all()]
    assert points_in_box(points, box).tolist() == expected
    assert len(expected) > 100


def test_points_are_told_along_length_width_and_height():
    box = np.array([10.0, 20.0, 1.0, 4.0, 2.0, 1.5, np.pi / 2])
    ahead_left_above = np.array([[10.0, 23.0, 1.0], [9.0, 20.0, 1.0], [10.0, 20.0, 1.5]])
    np.testing.assert_allclose(to_box_frame(ahead_left_above, box), [[3, 0, 0], [0, 1, 0], [0, 0, 0.5]], atol=1e-12)


def test_the_surface_of_a_box_belongs_to_it():
    box = np.array([0.0, 0.0, 0.0, 4.0, 2.0, 1.0, 0.0])
    points = np.array([[2.0, 1.0, 0.5], [2.0, 1.0, 0.5001], [-2.0, -1.0, -0.5], [2.0001, 0.0, 0.0]])
    assert points_in_box(points, box).tolist() == [0, 2]
