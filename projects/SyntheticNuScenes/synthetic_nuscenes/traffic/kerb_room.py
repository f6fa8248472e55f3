"""This module keeps account of the free stretches of kerbs, where vehicles park, buses stop and roads are dug up."""

from dataclasses import dataclass, field

import numpy as np
import shapely

from synthetic_nuscenes.town.roads import Kerb
from synthetic_nuscenes.town.town import Block, Town

_SHORTEST = 2.0


@dataclass
class Kerbside:
    """A `Kerbside` is a kerb with the pavement beside it, and the stretches of it that are still free."""

    kerb: Kerb
    block: Block | None
    """The block on its right, None where there is none."""
    free: list[tuple[float, float]] = field(default_factory=list)
    """Start and end (m along the kerb) of the free stretches, in order."""

    @property
    def pavement(self) -> float:
        """Width of the pavement (m), 0 where there is no block."""
        return self.block.pavement if self.block else 0.0

    def draw(self, rng: np.random.Generator, length: float) -> float | None:
        """Draw the middle (m along the kerb) of a free stretch of a length (m), None where there is no room."""
        rooms = np.array([max(stop - start - length, 0.0) for start, stop in self.free])
        if rooms.sum() <= 0:
            return None
        start, _ = self.free[int(rng.choice(len(rooms), p=rooms / rooms.sum()))]
        return float(start + length / 2 + rng.uniform(0, rooms[[s == start for s, _ in self.free]][0]))

    def take(self, start: float, stop: float) -> None:
        """Take a stretch (m along the kerb), whether it is free or not."""
        left = [(a, min(b, start)) for a, b in self.free] + [(max(a, stop), b) for a, b in self.free]
        self.free = sorted({(a, b) for a, b in left if b - a > _SHORTEST})


def kerbsides(town: Town) -> list[Kerbside]:
    """Return all kerbs of a town; entries of lots and crossings in the middle of roads are not free."""
    tree = shapely.STRtree([block.outline for block in town.blocks])
    found = []
    for kerb in town.network.kerbs:
        if kerb.path.length < 2 * kerb.clear + _SHORTEST:
            continue
        side = Kerbside(kerb, None, [(kerb.clear, kerb.path.length - kerb.clear)])
        along = np.arange(0.0, kerb.path.length, 1.0)
        x, y, heading = kerb.path.at(along).T
        beside = shapely.points(x + 0.8 * np.sin(heading), y - 0.8 * np.cos(heading))
        point, block = tree.query(beside, predicate="within")
        if len(block):
            side.block = town.blocks[int(np.bincount(block).argmax())]
        alone = np.setdiff1d(np.arange(len(along)), point)
        for run in np.split(alone, np.flatnonzero(np.diff(alone) > 1) + 1) if len(alone) else ():
            side.take(along[run[0]] - 1.5, along[run[-1]] + 1.5)
        for crossing in town.crossings:
            if crossing.road == kerb.road:
                ends = crossing.path.at(np.array([0.0, crossing.path.length]))[:, :2]
                near = np.hypot(x[:, None] - ends[:, 0], y[:, None] - ends[:, 1]).min(axis=1)
                middle = along[int(near.argmin())]
                side.take(middle - crossing.width / 2 - 2.0, middle + crossing.width / 2 + 2.0)
        found.append(side)
    return found


def nearest(sides: list[Kerbside], x: float, y: float) -> tuple[Kerbside, float]:
    """Return the kerb nearest to a point (m) and how far along the kerb it is nearest."""
    # To the millimeter, so that no rounding error decides which is nearest.
    away = [np.round(np.hypot(*(side.kerb.path.points - (x, y)).T), 3) for side in sides]
    best = int(np.argmin([distances.min() for distances in away]))
    return sides[best], float(sides[best].kerb.path.distances[int(away[best].argmin())])
