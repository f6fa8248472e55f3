"""This module holds smooth noise and random cells on the plane, out of one fixed table."""

from functools import cache

import numpy as np
from numpy import ndarray

_SIZE = 256


def noise(x: ndarray, y: ndarray) -> ndarray:
    """Return smooth noise in [0, 1] with bumps about one unit wide; it repeats after 256 units."""
    x0, y0 = np.floor(x), np.floor(y)
    fx, fy = x - x0, y - y0
    fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)
    i, j = x0.astype(np.int64) & (_SIZE - 1), y0.astype(np.int64) & (_SIZE - 1)
    i1, j1 = (i + 1) & (_SIZE - 1), (j + 1) & (_SIZE - 1)
    flat = _table().ravel()
    a, b = flat[i * _SIZE + j], flat[i1 * _SIZE + j]
    c, d = flat[i * _SIZE + j1], flat[i1 * _SIZE + j1]
    low, high = a + (b - a) * fx, c + (d - c) * fx
    return low + (high - low) * fy


def fractal(x: ndarray, y: ndarray, octaves: int = 3) -> ndarray:
    """Return noise in [0, 1] on `octaves` scales; each is half as wide and half as strong as the one before."""
    total, weight = 0.0, 0.0
    for k in range(octaves):
        total = total + noise(x * 2**k + 17.3 * k, y * 2**k + 5.1 * k) * 0.5**k
        weight += 0.5**k
    return total / weight


def cell_value(x: ndarray, y: ndarray) -> ndarray:
    """Return a number in [0, 1] for the unit square that each point is in."""
    i, j = np.floor(x).astype(np.int64) & (_SIZE - 1), np.floor(y).astype(np.int64) & (_SIZE - 1)
    return _table()[i, j]


def fade(footprint: ndarray, scale: float) -> ndarray:
    """Return how much of a pattern of `scale` metres is left where a pixel covers `footprint` metres."""
    return 1.0 / (1.0 + (footprint / (0.5 * scale)) ** 2)


@cache
def _table() -> ndarray:
    return np.random.default_rng(7).random((_SIZE, _SIZE), dtype=np.float32)
