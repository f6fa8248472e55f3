"""This module times drives along paths: speeds in bends, and halts at stop lines and behind others."""

from collections.abc import Sequence

import numpy as np
from numpy import ndarray

from synthetic_nuscenes.geometry.paths import Along, Path

ACCELERATION = 1.8
"""Acceleration (m/s²) with which vehicles speed up and slow down."""
_STEP = 0.5
_TIME_STEP = 0.02
"""Time (s) between the samples of a drive: `Along` is linear between them, so speeds rise by 0.04 m/s from one to the
next."""
_BEYOND = 0.5
"""How long (s) a drive goes on after its end, as far as the path reaches."""


def stop_and_go(
    path: Path,
    cruise: float,
    begin: float,
    end: float,
    offset: float = 0.0,
    halts: Sequence[tuple[float, float]] = (),
    sideways: float = 2.2,
) -> Along:
    """Drive a path from time `begin` to `end` (s), at `cruise` m/s, slower in bends, with halts on the way.

    The vehicle speeds up and slows down by at most `ACCELERATION`.

    Args:
        path: the way, long enough for the time.
        offset: distance (m) along the path at time `begin`.
        halts: distances (m) along the path where the vehicle stands, each with the time (s) at which it goes on; inf
            for never. Those behind `offset` are ignored.
        sideways: acceleration across the way (m/s²) that bends are driven with.

    Raises:
        ValueError: the path ends before the time does.
    """
    waits = {float(place): time for place, time in sorted(halts) if offset <= place <= path.length}
    s = _stations(offset, path.length, np.array(list(waits)))
    bend = np.abs(path.curvature(s))
    square = np.minimum(cruise**2, sideways / np.maximum(bend, 1e-3))
    square = np.maximum(square, min(cruise, 1.5) ** 2)
    square[np.isin(s, list(waits))] = 0.0
    slope = 2 * ACCELERATION * s
    square = np.minimum.accumulate(square - slope) + slope
    square = np.minimum.accumulate((square + slope)[::-1])[::-1] - slope
    speed = np.sqrt(np.maximum(square, 0.0))
    arrive = begin + np.concatenate([[0.0], np.cumsum(2 * np.diff(s) / (speed[1:] + speed[:-1]))])
    leave = arrive.copy()
    for place, time in waits.items():
        k = int(np.searchsorted(s, place))
        delay = max(min(time, end + 1.0) - leave[k], 0.0)
        leave[k:] += delay
        arrive[k + 1 :] += delay
    if leave[-1] <= end:
        raise ValueError(f"the path of {path.length:.0f} m ends {end - leave[-1]:.1f} s too early; make it longer")
    times = begin + _TIME_STEP * np.arange(int(np.ceil((end - begin + _BEYOND) / _TIME_STEP)) + 1)
    leg = np.clip(np.searchsorted(leave, times, side="right") - 1, 0, len(s) - 2)
    duration, length = (arrive[1:] - leave[:-1])[leg], np.diff(s)[leg]
    passed = np.clip(times - leave[leg], 0.0, duration)
    # Acceleration is the same all along a leg.
    gain = ((speed[1:] - speed[:-1])[leg]) / duration
    return Along(path, times, np.minimum(s[leg] + speed[leg] * passed + gain * passed**2 / 2, s[leg] + length))


def _stations(offset: float, length: float, places: ndarray) -> ndarray:
    """Return the distances (m) along a path at which a speed is chosen: `_STEP` apart, at halts and between these."""
    s = np.append(np.arange(offset, length - 1e-3, _STEP), length)
    # None so near to a halt that rounding decides on the speed there.
    s = s[np.abs(s[:, None] - places).min(axis=1, initial=np.inf) > 1e-3]
    return np.unique(np.concatenate([s, places, (places[1:] + places[:-1]) / 2]))


def shifted(motion: Along, distance: float) -> Along:
    """Return the motion of who follows the same path `distance` metres ahead, or behind where it is negative."""
    return Along(motion.path, motion.times, motion.distances + distance)
