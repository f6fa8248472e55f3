"""Bilinear reading: exact at pixel centres, linear between them, repeated beyond the border."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ponderv2.geometry import sample_image

QUICK = settings(max_examples=25, deadline=None)


def slow(image: torch.Tensor, u: float, v: float) -> torch.Tensor:
    """One value of the image with its border repeated."""
    height, width = image.shape[-2:]
    u, v = min(max(u, 0.0), width - 1.0), min(max(v, 0.0), height - 1.0)
    left, top = math.floor(u), math.floor(v)
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    a, b = u - left, v - top
    upper = (1 - a) * image[:, top, left] + a * image[:, top, right]
    lower = (1 - a) * image[:, bottom, left] + a * image[:, bottom, right]
    return (1 - b) * upper + b * lower


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
@pytest.mark.parametrize("size", [(7, 11), (90, 160), (1, 1)])
def test_integer_coordinates_give_the_pixels_themselves(size, dtype, tolerance):
    image = torch.rand(3, *size, dtype=dtype)
    v, u = torch.meshgrid(*(torch.arange(n, dtype=dtype) for n in size), indexing="ij")
    values = sample_image(image, torch.stack([u, v], dim=-1).reshape(-1, 2))
    torch.testing.assert_close(values, image.flatten(1).T, rtol=0, atol=tolerance)


@QUICK
@given(st.floats(0, 15), st.floats(0, 8), st.floats(-3, 3), st.floats(-3, 3))
def test_a_linear_ramp_is_read_exactly_between_pixels(u, v, slope_u, slope_v):
    rows, columns = torch.meshgrid(torch.arange(9.0), torch.arange(16.0), indexing="ij")
    image = (slope_u * columns + slope_v * rows).double()[None]
    value = sample_image(image, torch.tensor([[u, v]], dtype=torch.float64))
    assert value.item() == pytest.approx(slope_u * u + slope_v * v, abs=1e-5)


@QUICK
@given(
    st.integers(1, 6),
    st.integers(1, 6),
    st.lists(st.tuples(st.floats(-3, 9), st.floats(-3, 9)), min_size=1, max_size=9),
)
def test_any_place_has_the_value_of_a_plain_loop(height, width, places):
    image = torch.rand(2, height, width, dtype=torch.float64)
    values = sample_image(image, torch.tensor(places, dtype=torch.float64))
    torch.testing.assert_close(values, torch.stack([slow(image, u, v) for u, v in places]), rtol=0, atol=1e-9)


def test_no_pixels_have_no_values():
    assert sample_image(torch.rand(3, 4, 5), torch.zeros(0, 2)).shape == (0, 3)
