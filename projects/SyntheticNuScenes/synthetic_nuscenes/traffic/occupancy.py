"""This module keeps account of the room that moving and resting things take, so that none gets into another's way."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from synthetic_nuscenes.geometry.paths import Motion, Still


@dataclass(frozen=True)
class Footprint:
    """A `Footprint` covers a thing from above with a row of equal discs, at each of a row of times."""

    middles: ndarray
    """`[times, discs, 2]` middles of the discs (m); a single time for what rests."""
    radius: float
    """Radius of the discs (m)."""
    places: ndarray
    """`[times, 2]` middle of the thing (m)."""
    reach: float
    """Radius (m) around `places` that holds all discs."""

    def meets(self, other: "Footprint") -> bool:
        """Return whether two footprints overlap at any time."""
        near = np.square(self.places - other.places).sum(axis=1) < (self.reach + other.reach) ** 2
        if not near.any():
            return False
        # Discs are compared only when the things are near each other.
        own, others = (f.middles if len(f.middles) == 1 else f.middles[near] for f in (self, other))
        difference = own[:, :, None] - others[:, None]
        return bool((np.square(difference).sum(axis=-1) < (self.radius + other.radius) ** 2).any())


def footprint(motion: Motion, size: Float[ndarray, " 3"], times: Float[ndarray, " n"], gap: float) -> Footprint:
    """Cover a thing of a size (length, width, height in metres) with discs that exceed it by half of `gap` metres."""
    length, width = max(size[0], size[1]), min(size[0], size[1])
    turn = 0.0 if size[0] >= size[1] else np.pi / 2
    count = max(int(np.ceil(length / width)), 1)
    offsets = np.linspace(-0.5, 0.5, count) * (length - width)
    poses = motion.at(times[:1] if isinstance(motion, Still) else times)
    heading = poses[:, 2] + turn
    forward = np.stack([np.cos(heading), np.sin(heading)], axis=1)
    middles = poses[:, None, :2] + offsets[None, :, None] * forward[:, None]
    radius = 0.55 * width + gap / 2
    return Footprint(middles, radius, poses[:, :2], float(offsets[-1] if count > 1 else 0.0) + radius)


@dataclass
class Occupancy:
    """An `Occupancy` holds the footprints of all things placed so far at the times `[n]` (s)."""

    times: ndarray
    footprints: list[Footprint] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._bounds = np.zeros((64, 4))

    def is_free(self, wanted: Footprint) -> bool:
        """Return whether nothing is ever in the way of a footprint."""
        x0, y0, x1, y1 = _bounds(wanted)
        known = self._bounds[: len(self.footprints)]
        near = (known[:, 0] < x1) & (known[:, 2] > x0) & (known[:, 1] < y1) & (known[:, 3] > y0)
        return not any(wanted.meets(self.footprints[k]) for k in np.flatnonzero(near))

    def add(self, wanted: Footprint) -> None:
        """Take the room of a footprint."""
        count = len(self.footprints)
        if count == len(self._bounds):
            self._bounds = np.concatenate([self._bounds, np.zeros_like(self._bounds)])
        self._bounds[count] = _bounds(wanted)
        self.footprints.append(wanted)


def _bounds(wanted: Footprint) -> ndarray:
    low, high = wanted.places.min(axis=0), wanted.places.max(axis=0)
    return np.concatenate([low - wanted.reach, high + wanted.reach])
