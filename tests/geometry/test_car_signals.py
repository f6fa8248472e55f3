"""The car's signals since the frame before."""

import numpy as np
import pytest
import torch

from ponderv2.geometry import CAN_BUS_SIZE, signals_since

FAR = 1234.5


def _signals(place: tuple[float, float, float], degrees: float) -> np.ndarray:
    turned = [0.9, 0.1, 0.2, 0.3]
    return np.array([*place, *turned, 0.5, -0.1, 9.8, 0.01, 0.02, 0.3, 7.0, 0.2, 0.0, 6.1, degrees])


def test_position_and_yaw_in_degrees_are_differences_and_the_rest_stays():
    now, before = _signals((FAR + 3.25, FAR - 1.0, 0.5), 95.0), _signals((FAR, FAR, 0.25), 90.0)
    found = signals_since(now, before)
    assert (found.dtype, found.shape) == (torch.float32, (CAN_BUS_SIZE,))
    assert found.tolist() == pytest.approx([3.25, -1.0, 0.25, *now[3:17], 5.0])


def test_without_a_frame_before_both_are_zero():
    found = signals_since(_signals((FAR, FAR, 1.0), 77.0), None)
    assert found[[0, 1, 2, 17]].tolist() == [0.0] * 4
    assert found[16].item() == pytest.approx(6.1)


@pytest.mark.parametrize(("now", "before", "expected"), [(1.0, 359.0, 2.0), (359.0, 1.0, -2.0), (180.0, 0.0, -180.0)])
def test_a_turn_through_zero_does_not_jump(now, before, expected):
    place = (0.0, 0.0, 0.0)
    assert signals_since(_signals(place, now), _signals(place, before))[17].item() == pytest.approx(expected)
