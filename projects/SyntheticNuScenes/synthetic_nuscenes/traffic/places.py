"""This module draws places on open ground."""

import numpy as np
import shapely


def random_points(rng: np.random.Generator, ground: shapely.Geometry, count: int) -> np.ndarray:
    """Return evenly drawn points `[count, 2]` of a polygon (m)."""
    x0, y0, x1, y1 = ground.bounds
    found = np.zeros((0, 2))
    while len(found) < count:
        points = rng.uniform((x0, y0), (x1, y1), (16, 2))
        found = np.concatenate([found, points[shapely.contains_xy(ground, points)]])
    return found[:count]
