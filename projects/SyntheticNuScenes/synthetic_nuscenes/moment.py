"""This module holds the world at one time: all that rests, and what moves where it is then."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from .geometry.casting import BodyCaster, Hits

NOTHING, STATIC = -1, 0
"""Numbers in `WorldHits` of bodies that are no actors; actor k is body k + 1."""


class WorldHits(NamedTuple):
    """`WorldHits` are what `n` rays hit first."""

    distance: ndarray
    """`[n]` distances (m), inf for the sky."""
    body: ndarray
    """`[n]` bodies: `NOTHING`, `STATIC` or the number of an actor plus one."""
    face: ndarray
    """`[n]` triangles of that body."""
    weights: ndarray
    """`[n, 2]` weights of the second and third corner of that triangle."""


class Moment:
    """A `Moment` is the world at one time: all that rests, and what moves where it is then."""

    def __init__(self, time: float, resting: BodyCaster, moving: BodyCaster) -> None:
        self.time, self._resting, self._moving = time, resting, moving

    def first_hits(self, origins: Float[ndarray, "n 3"], directions: Float[ndarray, "n 3"]) -> WorldHits:
        """Return what rays hit first; directions must be unit vectors."""
        hits = first_world_hits(self._resting, origins, directions)
        moved, body = self._moving.first_hits(origins, directions)
        return WorldHits(*closer(hits, np.arange(len(origins)), moved, body))

    def occluded(
        self, origins: Float[ndarray, "n 3"], directions: Float[ndarray, "n 3"], reach: float | ndarray = 1e30
    ) -> Bool[ndarray, " n"]:
        """Return whether anything is on each ray within `reach` metres, one number or `[n]`."""
        return self._resting.occluded(origins, directions, reach) | self._moving.occluded(origins, directions, reach)


def first_world_hits(
    caster: BodyCaster, origins: Float[ndarray, "n 3"], directions: Float[ndarray, "n 3"]
) -> WorldHits:
    """Return what rays hit first among the bodies of one caster."""
    (distance, face, weights), body = caster.first_hits(origins, directions)
    return WorldHits(distance, body, face, weights)


def closer(hits: WorldHits, rays: ndarray, found: Hits, body: ndarray) -> WorldHits:
    """Put what some rays found into the hits of all where it is nearer; the arrays of `hits` are written to."""
    better = found.distance < hits.distance[rays]
    chosen = rays[better]
    hits.distance[chosen], hits.face[chosen] = found.distance[better], found.face[better]
    hits.weights[chosen], hits.body[chosen] = found.weights[better], body[better]
    return hits
