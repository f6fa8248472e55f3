"""This module holds figures whose limbs move with the distance they have gone: walkers and people who pedal."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from synthetic_nuscenes.geometry.mesh import Mesh, Triple

SLOWEST = 0.1
"""Speed (m/s) below which a figure stands."""


@dataclass(frozen=True)
class GaitMesh(Mesh):
    """A `GaitMesh` is a figure at rest, with the poses that it goes through while it moves.

    All poses have the same number of triangles in the same order.
    """

    poses: tuple[Mesh, ...]
    """The pose at rest, and those of one cycle in order."""
    stride: float
    """Distance (m) gone in one cycle: with two steps, or with one turn of the pedals."""

    def fitted(self, low: Triple, high: Triple) -> "GaitMesh":
        """Return the figure stretched axis by axis until all poses together have the bounds `low` and `high` (m)."""
        lower = np.min([pose.vertices.min(axis=0) for pose in self.poses], axis=0)
        upper = np.max([pose.vertices.max(axis=0) for pose in self.poses], axis=0)
        scale = (np.asarray(high) - np.asarray(low)) / (upper - lower)
        offset = np.asarray(low) - lower * scale
        return with_gait([pose.stretched(scale, offset) for pose in self.poses], self.stride * float(scale[0]))

    def pose_numbers(self, distance: Float[ndarray, " n"], speed: Float[ndarray, " n"]) -> Int[ndarray, " n"]:
        """Return which of `poses` is taken after a distance (m) and at a speed (m/s)."""
        steps = len(self.poses) - 1
        cycle = np.floor(distance / self.stride * steps).astype(np.int64) % steps
        return np.where(speed < SLOWEST, 0, 1 + cycle)


def with_gait(poses: Sequence[Mesh], stride: float) -> GaitMesh:
    """Return the figure of these poses, the first of which is the one at rest.

    Raises:
        ValueError: when poses differ in their triangles, or there is none to move through.
    """
    if len(poses) < 2 or len({pose.faces.shape for pose in poses}) > 1:
        raise ValueError(
            f"with_gait: needs a pose at rest and one more, all with equal triangles, got "
            f"{[len(pose.faces) for pose in poses]} triangles"
        )
    rest = poses[0]
    return GaitMesh(*(getattr(rest, field.name) for field in fields(rest)), poses=tuple(poses), stride=stride)


def two_bones(x: float, z: float, upper: float, lower: float) -> tuple[float, float]:
    """Return how far two bones that hang from the origin swing forward (rad) for the end to be at x, z (m).

    The joint between them bends forward, like a knee. A point out of reach is brought within it.
    """
    away = min(np.hypot(x, z), 0.9995 * (upper + lower))
    direction = np.arctan2(x, -z)
    hip = np.arccos(np.clip((upper**2 + away**2 - lower**2) / (2 * upper * away), -1, 1))
    knee = np.arccos(np.clip((lower**2 + away**2 - upper**2) / (2 * lower * away), -1, 1))
    return float(direction + hip), float(direction - knee)
