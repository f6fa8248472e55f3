"""This module makes the generators from which everything is drawn: one for each purpose, so none hangs on another."""

from enum import IntEnum

import numpy as np

LARGEST_SEED = 2**32 - 1
"""Larger numbers would be split, and could then stand for the numbers of another generator."""


class Purpose(IntEnum):
    """A `Purpose` says what a generator draws; each takes the same count of numbers every time."""

    TOWN = 1
    WEATHER = 2
    DRIVE = 3
    TRAFFIC = 4
    SCENERY = 5
    LIDAR = 6
    CAMERA = 7
    REVISIT = 8


def generator(purpose: Purpose, *numbers: int) -> np.random.Generator:
    """Return the generator of a purpose and some numbers, such as a seed and a scene.

    Raises:
        ValueError: a number is negative or larger than `LARGEST_SEED`.
    """
    if not all(0 <= number <= LARGEST_SEED for number in numbers):
        raise ValueError(f"numbers of a generator: expected 0 to {LARGEST_SEED}, got {numbers}")
    return np.random.default_rng([int(purpose), *numbers])
