"""This module defines road networks, and drives in them."""

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from synthetic_nuscenes.geometry.paths import Path, curve, joined, sampled

from .roads import BACKWARD, FORWARD, Junction, Kerb, Lane, Road

LEFT, STRAIGHT, RIGHT = 1, 0, -1
"""What a drive does at a junction."""


@dataclass(frozen=True)
class Network:
    """A `Network` consists of roads and of the junctions that they lead to."""

    junctions: tuple[Junction, ...]
    roads: tuple[Road, ...]

    @cached_property
    def lanes(self) -> tuple[Lane, ...]:
        """All lanes, in the order of roads, directions and lane numbers."""
        lanes: list[Lane] = []
        for number, road in enumerate(self.roads):
            for direction in (FORWARD, BACKWARD):
                for index in range(road.section.lanes):
                    path = road.line(direction, road.section.lane_offset(index))
                    lanes.append(
                        Lane(len(lanes), number, direction, index, path, road.section.lane_width, road.section.speed)
                    )
        return tuple(lanes)

    @cached_property
    def kerbs(self) -> tuple[Kerb, ...]:
        """The two kerbs of each road, in the order of roads and directions."""
        return tuple(
            Kerb(
                number,
                direction,
                road.line(direction, road.section.half_width(direction)),
                road.section.parking_width(direction),
                road.section.lane_width,
            )
            for number, road in enumerate(self.roads)
            for direction in (FORWARD, BACKWARD)
        )

    def end(self, lane: Lane) -> int:
        """Return the number of the junction that a lane leads to."""
        return self.roads[lane.road].end(lane.direction)

    def successors(self, lane: Lane, any_lane: bool = False) -> list[tuple[Lane, int]]:
        """Return the lanes that a lane leads to, each with the turn that leads there; there is none at an exit.

        Right turns go from outer to outer lanes and left turns from inner to inner ones, where there is a choice.

        Args:
            any_lane: whether turns from all lanes are allowed.
        """
        found = []
        for other in self._leaving[self.end(lane)]:
            if other.road == lane.road:
                continue
            turn = _turn(lane.path.at(np.array([lane.path.length]))[0, 2], other.path.at(np.zeros(1))[0, 2])
            outer, other_outer = (self.roads[k.road].section.lanes - 1 for k in (lane, other))
            wanted = {LEFT: (0, 0), RIGHT: (outer, other_outer), STRAIGHT: (lane.index, min(lane.index, other_outer))}
            found.append((other, turn, (lane.index, other.index) == wanted[turn], other.index == wanted[turn][1]))
        strict = [(other, turn) for other, turn, allowed, _ in found if allowed and not any_lane]
        return strict or [(other, turn) for other, turn, _, entered in found if entered]

    def connection(self, lane: Lane, other: Lane) -> Path:
        """Return the path through the junction from the end of a lane to the start of another."""
        junction = self.junctions[self.end(lane)]
        start, end = lane.path.at(np.array([lane.path.length]))[0], other.path.at(np.zeros(1))[0]
        if junction.kind != "roundabout":
            return curve(start, end)
        middle, radius = np.array([junction.x, junction.y]), junction.island + junction.ring / 2
        angles = [np.arctan2(*(pose[:2] - middle)[::-1]) for pose in (start, end)]
        first, last = angles[0] + 0.5, angles[1] - 0.5
        swept = (last - first) % (2 * np.pi)
        if swept > 2 * np.pi - 1.0:
            # The next exit is so near that the way out begins before the way in has ended.
            return curve(start, end)
        angle = first + np.linspace(0.0, swept, max(int(swept * radius / 0.1), 2))
        ring = middle + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        way_in = curve(start, np.array([*ring[0], first + np.pi / 2]), 0.35)
        way_out = curve(np.array([*ring[-1], first + swept + np.pi / 2]), end, 0.35)
        return joined([way_in, sampled(ring), way_out] if swept > 0.05 else [way_in, way_out])

    def drive(self, rng: np.random.Generator, lane: Lane, start: float, length: float, stay: bool = False) -> Path:
        """Draw a path of at least `length` metres along lanes, from `start` metres along a lane.

        It leaves the town only where nothing else is left, and then goes on straight.

        Args:
            stay: whether the exits of the town are avoided wherever there is another way.
        """
        parts = [lane.path.part(start, lane.path.length)]
        total = parts[0].length
        while total < length:
            choices = self.successors(lane)
            if stay:
                everything = [*choices, *self.successors(lane, any_lane=True)]
                inside = [[c for c in among if not self._leads_out(c[0])] for among in (choices, everything)]
                choices = inside[0] or inside[1] or choices
            if not choices:
                x, y, heading = parts[-1].at(np.array([parts[-1].length]))[0]
                ahead = np.array([np.cos(heading), np.sin(heading)]) * (length - total + 1)
                parts.append(sampled(np.array([[x, y], [x + ahead[0], y + ahead[1]]])))
                break
            following, _ = choices[rng.integers(len(choices))]
            parts += [self.connection(lane, following), following.path]
            total += parts[-1].length + parts[-2].length
            lane = following
        return joined(parts)

    def _leads_out(self, lane: Lane) -> bool:
        return self.junctions[self.end(lane)].kind == "exit"

    @cached_property
    def _leaving(self) -> dict[int, list[Lane]]:
        leaving = defaultdict(list)
        for lane in self.lanes:
            leaving[self.roads[lane.road].start(lane.direction)].append(lane)
        return leaving


def _turn(before: float, after: float) -> int:
    angle = angle_between(after - before)
    return STRAIGHT if abs(angle) < np.deg2rad(40) else (LEFT if angle > 0 else RIGHT)


def angle_between(angle: float) -> float:
    """Return an angle (rad) brought between -π and π."""
    return float(np.angle(np.exp(1j * angle)))
