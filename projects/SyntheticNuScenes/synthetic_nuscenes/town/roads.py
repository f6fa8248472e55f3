"""This module defines roads: their cross-sections, lanes and kerbs. Traffic keeps right."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from synthetic_nuscenes.geometry.paths import Path

FORWARD, BACKWARD = 1, -1
"""The directions of traffic on a road: along its centre line and against it."""


@dataclass(frozen=True)
class CrossSection:
    """A `CrossSection` says what lies side by side on a road; all widths are in metres."""

    name: str
    lanes: int
    """Number of lanes in each direction."""
    lane_width: float
    parking: tuple[float, float]
    """Widths of the parking lanes on the right of traffic forward and of traffic backward, 0 where there is none."""
    median: float = 0.0
    """Width of the raised island between the directions, 0 for a painted line."""
    cycle_lane: float = 0.0
    """Width of the painted cycle lane of each direction, between the lanes and the parking lane."""
    speed: float = 9.0
    """Usual speed (m/s)."""

    def parking_width(self, direction: int) -> float:
        """Return the width (m) of the parking lane on the right of a direction."""
        return self.parking[0 if direction == FORWARD else 1]

    def half_width(self, direction: int) -> float:
        """Return the distance (m) from the centre line to the kerb on the right of a direction."""
        return self.lanes_width + self.cycle_lane + self.parking_width(direction)

    @property
    def lanes_width(self) -> float:
        """The distance (m) from the centre line to the outer edge of the lanes of a direction."""
        return self.median / 2 + self.lanes * self.lane_width

    def lane_offset(self, lane: int) -> float:
        """Return the distance (m) from the centre line to the middle of a lane; lane 0 is the inner one."""
        return self.median / 2 + self.lane_width * (lane + 0.5)


@dataclass(frozen=True)
class Road:
    """A `Road` leads from one junction of the network to another."""

    center: Path
    """Centre line from the middle of the first junction to that of the second."""
    section: CrossSection
    ends: tuple[int, int]
    """Numbers of the two junctions."""
    trims: tuple[float, float]
    """Distances (m) from either end at which the junctions begin."""

    @cached_property
    def between(self) -> Path:
        """The centre line between the two junctions."""
        return self.center.part(self.trims[0], self.center.length - self.trims[1])

    def line(self, direction: int, offset: float) -> Path:
        """Return the path between the junctions in a direction of traffic, `offset` metres right of the middle."""
        path = self.between if direction == FORWARD else self.between.reversed()
        return path.beside(-offset)

    def start(self, direction: int) -> int:
        """Return the number of the junction that traffic of a direction comes from."""
        return self.ends[0 if direction == FORWARD else 1]

    def end(self, direction: int) -> int:
        """Return the number of the junction that traffic of a direction goes to."""
        return self.ends[1 if direction == FORWARD else 0]


@dataclass(frozen=True)
class Lane:
    """A `Lane` is the middle line of one lane between two junctions, in the direction of its traffic."""

    number: int
    road: int
    direction: int
    index: int
    """Number of the lane counted from the middle of the road, 0 for the inner one."""
    path: Path
    width: float
    speed: float
    """Usual speed (m/s)."""


@dataclass(frozen=True)
class Kerb:
    """A `Kerb` is the edge of a road on the right of one direction of traffic, between two junctions."""

    road: int
    direction: int
    path: Path
    """The edge, in the direction of traffic: the road is on its left, the pavement on its right."""
    parking: float
    """Width of the parking lane beside it (m), 0 where there is none."""
    lane_width: float
    clear: float = 8.0
    """Length (m) at either end that is kept free for crossings."""

    def place(self, along: float, offset: float) -> tuple[float, float, float]:
        """Return x, y (m) and the heading of traffic (rad) at a distance along the kerb.

        Args:
            along: distance (m) from the start of the kerb.
            offset: distance (m) from the kerb towards the road; negative values lie on the pavement.
        """
        x, y, heading = self.path.at(np.array([along]))[0]
        return float(x - offset * np.sin(heading)), float(y + offset * np.cos(heading)), float(heading)


@dataclass(frozen=True)
class Junction:
    """A `Junction` is a node of the network where roads end or meet."""

    x: float
    y: float
    kind: str
    """`crossing` or `roundabout` (three roads or more), `bend` (two) or `exit` (one, at the edge of the town)."""
    island: float = 0.0
    """Radius of the island in the middle of a roundabout, metres."""
    ring: float = 0.0
    """Width of the ring around it, metres."""
