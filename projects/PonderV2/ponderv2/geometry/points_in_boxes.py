"""Which points lie in a box (x, y, z, l, w, h, yaw) with its gravity centre, see `boxes`."""

import numpy as np

from ponderv2.shapes import Float, Int


def to_box_frame(points: Float[np.ndarray, "p 3"], box: Float[np.ndarray, "7"]) -> Float[np.ndarray, "p 3"]:
    """Compute the points relative to a box: metres from its centre along its length, width and height; float64."""
    x, y, z = (points.astype(np.float64) - box[:3]).T
    c, s = np.cos(box[6]), np.sin(box[6])
    return np.stack([c * x + s * y, c * y - s * x, z], axis=1)


def points_in_box(points: Float[np.ndarray, "p 3"], box: Float[np.ndarray, "7"]) -> Int[np.ndarray, "q"]:
    """Find the points inside a box, its surface included; returns their indices, ascending."""
    # Most points are far away: a square around the box first.
    reach = np.hypot(box[3], box[4]) / 2 + 1e-3
    near = np.flatnonzero((np.abs(points[:, 0] - box[0]) <= reach) & (np.abs(points[:, 1] - box[1]) <= reach))
    local = to_box_frame(points[near], box)
    return near[(np.abs(local) <= box[3:6] / 2).all(axis=1)]
