"""This module times drives along paths: speeds in bends, and halts at stop lines and behind others."""

from collections.abc import Sequence

import numpy as np

from synthetic_nuscenes.geometry.paths import Along, Path

ACCELERATION = 1.8
"""Acceleration (m/s²) with which vehicles speed up and slow down."""
_STEP = 0.5


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

    Args:
        path: the way, long enough for the time.
        offset: distance (m) along the path at time `begin`.
        halts: distances (m) along the path where the vehicle stands, each with the time (s) at which it goes on; inf
            for never. Those behind `offset` are ignored.
        sideways: acceleration across the way (m/s²) that bends are driven with.

    Raises:
        ValueError: the path ends before the time does.
    """
    waits = {float(place): time for place, time in halts if place >= offset}
    s = np.unique(np.concatenate([np.arange(offset, path.length, _STEP), [path.length], list(waits)]))
    s = s[s <= path.length]
    bend = np.abs(path.curvature(s))
    square = np.minimum(cruise**2, sideways / np.maximum(bend, 1e-3))
    square = np.maximum(square, min(cruise, 1.5) ** 2)
    square[np.isin(s, list(waits))] = 0.0
    slope = 2 * ACCELERATION * s
    square = np.minimum.accumulate(square - slope) + slope
    square = np.minimum.accumulate((square + slope)[::-1])[::-1] - slope
    speed = np.sqrt(np.maximum(square, 0.0))
    # Two halts may lie so near each other that no speed is reached between them.
    legs = 2 * np.diff(s) / np.maximum(speed[1:] + speed[:-1], 0.2)
    times, places, now = [begin], [s[0]], begin
    for k, place in enumerate(s):
        if k:
            now += legs[k - 1]
            times.append(now)
            places.append(place)
        if waits.get(place, now) > now:
            now = min(waits[place], end + 1.0)
            times.append(now)
            places.append(place)
        if now > end:
            return Along(path, np.array(times), np.array(places))
    raise ValueError(f"the path of {path.length:.0f} m ends {end - now:.1f} s too early; make it longer")


def shifted(motion: Along, distance: float) -> Along:
    """Return the motion of who follows the same path `distance` metres ahead, or behind where it is negative."""
    return Along(motion.path, motion.times, motion.distances + distance)
