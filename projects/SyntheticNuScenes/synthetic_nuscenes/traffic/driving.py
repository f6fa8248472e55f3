"""This module lets vehicles and riders drive along the lanes, with queues at stop lines and trailers behind trucks."""

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

from synthetic_nuscenes.geometry.paths import Along, Path
from synthetic_nuscenes.mixes import pick
from synthetic_nuscenes.town.network import Network
from synthetic_nuscenes.town.roads import FORWARD, Lane
from synthetic_nuscenes.town.town import Town

from .actors import Placement, Plan
from .motion import shifted, stop_and_go

STOPPED, RIDDEN = "vehicle.stopped", "cycle.with_rider"

_MIX = {
    "old town": (("car", 0.6), ("truck", 0.1), ("bus", 0.11), ("motorcyclist", 0.12), ("articulated", 0.1)),
    "suburb": (("car", 0.64), ("truck", 0.11), ("bus", 0.11), ("motorcyclist", 0.07), ("articulated", 0.1)),
    "centre": (("car", 0.6), ("truck", 0.11), ("bus", 0.14), ("motorcyclist", 0.09), ("articulated", 0.09)),
    "industrial": (("car", 0.48), ("truck", 0.18), ("bus", 0.08), ("motorcyclist", 0.07), ("articulated", 0.22)),
}
_DIGGERS = 0.02
"""Share of diggers among the vehicles on their way."""
_CYCLISTS = {"old town": 1.5, "suburb": 0.9, "centre": 1.3, "industrial": 0.5}
"""Mean number of cyclists in 100 m of outer lanes."""
_SPEED_OF = {"bus": 0.9, "truck": 0.9, "articulated": 0.8, "digger": 0.35}
_HALF = {"bus": 5.8, "truck": 4.2, "articulated": 9.5, "motorcyclist": 1.1, "digger": 3.5}
"""Half of the usual length (m)."""


@dataclass(frozen=True)
class Signals:
    """`Signals` say at which lanes traffic has to wait."""

    lines: tuple[float, ...]
    """Distance (m) of the stop line of each lane from its start."""
    green: tuple[float, ...]
    """Time (s) at which each lane may go on: -inf where nobody waits, inf where everybody does."""


def stop_line(town: Town, lane: Lane) -> float:
    """Return how far (m) along a lane its stop line is: before the crossing at its end, if there is one."""
    length, between = lane.path.length, town.network.roads[lane.road].between.length
    line = length - 1.0
    for crossing in town.crossings:
        if crossing.road == lane.road:
            along = crossing.along if lane.direction == FORWARD else between - crossing.along
            along *= length / between
            if length - along < 12:
                line = min(line, along - crossing.width / 2 - 1.0)
    return line


def draw_signals(rng: np.random.Generator, town: Town, begin: float, end: float) -> Signals:
    """Draw which lanes have to wait at traffic lights, and until when."""
    network = town.network
    green = np.full(len(network.lanes), -np.inf)
    arriving = defaultdict(list)
    for lane in network.lanes:
        arriving[network.end(lane)].append(lane)
    for number, junction in enumerate(network.junctions):
        if junction.kind != "crossing" or rng.random() < 0.3:
            continue
        first, until = rng.uniform(0, np.pi), float(rng.choice([np.inf, rng.uniform(begin, end + 12)]))
        for lane in arriving[number]:
            heading = lane.path.headings[-1]
            if abs(np.cos(heading - first)) > np.sqrt(0.5):
                green[lane.number] = until
    return Signals(tuple(stop_line(town, lane) for lane in network.lanes), tuple(green.tolist()))


class Traffic:
    """`Traffic` puts vehicles on the lanes of a plan."""

    def __init__(self, plan: Plan, signals: Signals) -> None:
        self.plan, self.signals, self.rng = plan, signals, plan.rng
        self.network: Network = plan.town.network
        self.duration = plan.end - plan.begin
        self.mix = (*_MIX[plan.town.style], ("digger", _DIGGERS))

    def fill(self) -> None:
        """Fill all lanes, each as densely as its road and its hour want it."""
        rng = self.rng
        density = rng.gamma(2.5, 0.4) * self.plan.busyness
        of_road = rng.gamma(1.3, 1 / 1.3, len(self.network.roads))
        pace = rng.uniform(0.5, 1.1, len(self.network.roads))
        for number in rng.permutation(len(self.network.lanes)):
            lane = self.network.lanes[number]
            self._fill_lane(lane, density * of_road[lane.road], float(pace[lane.road]))
        for number in rng.permutation(len(self.network.lanes)):
            self._cycle(self.network.lanes[number])

    def _fill_lane(self, lane: Lane, density: float, pace: float) -> None:
        """Fill a lane from its end to its start, in stretches between what is closed of it."""
        rng, line, green = self.rng, self.signals.lines[lane.number], self.signals.green[lane.number]
        waiting = green > self.plan.begin
        end = lane.path.length + (0.0 if waiting else float(rng.choice(self._after(lane))))
        for start, stop in self._closed(lane):
            self._fill_stretch(lane, density, pace, (stop, end), (line, green))
            line, green, end = start - 1.5, np.inf, start
        self._fill_stretch(lane, density, pace, (0.0, end), (line, green))

    def _closed(self, lane: Lane) -> list[tuple[float, float]]:
        """Return what is closed of a lane (m along it), from its end to its start."""
        if lane.index != self.network.roads[lane.road].section.lanes - 1:
            return []
        return sorted(self.plan.closures.get((lane.road, lane.direction), ()), reverse=True)

    def _fill_stretch(
        self, lane: Lane, density: float, pace: float, stretch: tuple[float, float], stop: tuple[float, float]
    ) -> None:
        """Fill a stretch of a lane; who waits at its stop line stands behind the one before.

        Args:
            stretch: where on the lane (m) the vehicles are at the beginning.
            stop: place (m) of the stop line and the time (s) when traffic may go on.
        """
        rng, (halt, green), along = self.rng, stop, stretch[1]
        waiting = green > self.plan.begin
        standing = int(rng.geometric(1 / (1 + 2.2 * density))) - 1 if waiting else 0
        mean = 22.0 / max(density, 0.05)
        while True:
            name = pick(rng, self.mix)
            half = _HALF.get(name, 2.4)
            if standing > 0:
                along = min(along, halt) - half
                standing -= 1
            else:
                along -= rng.exponential(mean) + 2 * half + 2.0
            if along < stretch[0] + half:
                return
            speed = lane.speed * pace * rng.uniform(0.85, 1.15) * _SPEED_OF.get(name, 1.0)
            halts = ()
            if waiting and along <= halt - half:
                halts = ((halt - half, green),)
                halt -= 2 * half + rng.uniform(1.2, 3.0)
                green += rng.uniform(0.5, 1.2)
            self._try(name, lane, along, speed, halts)

    def _after(self, lane: Lane) -> list[float]:
        """Return the lengths (m) of the ways through the junction at the end of a lane, or 0 where there is none."""
        followers = self.network.successors(lane)
        return [self.network.connection(lane, other).length for other, _ in followers] or [0.0]

    def _try(self, name: str, lane: Lane, along: float, speed: float, halts: tuple) -> None:
        """Put a vehicle on a lane; if somebody is in its way, it waits at the stop line instead."""
        path = self._drive(lane, along + speed * self.duration + 30)
        if self._put(name, path, speed, along, halts) or halts:
            return
        line = self.signals.lines[lane.number] - _HALF.get(name, 2.4)
        if line - along > speed**2 / 3.6:
            self._put(name, path, speed, along, ((line, np.inf),))

    def _drive(self, lane: Lane, length: float) -> Path:
        return self.network.drive(self.rng, lane, 0.0, max(length, lane.path.length + 25))

    def _put(self, name: str, path: Path, speed: float, along: float, halts: tuple) -> bool:
        plan = self.plan
        motion = stop_and_go(path, speed, plan.begin, plan.end, along, halts)
        if name == "articulated":
            pair = _articulated(plan, motion)
            return pair is not None and plan.put_together(pair, gap=0.6)
        return plan.put(name, motion, 0.0, RIDDEN if name == "motorcyclist" else STOPPED, gap=0.6)

    def _cycle(self, lane: Lane) -> None:
        """Let cyclists ride along the right edge of an outer lane, or on the cycle lane beside it."""
        rng = self.rng
        section = self.network.roads[lane.road].section
        if lane.index != section.lanes - 1:
            return
        rate = _CYCLISTS[self.plan.town.style] * self.plan.busyness * (2.0 if section.cycle_lane else 1.0)
        for _ in range(rng.poisson(rate * lane.path.length / 100 * rng.gamma(1.0, 1.0))):
            speed = rng.uniform(2.8, 6.0)
            aside = (
                (lane.width + section.cycle_lane) / 2 if section.cycle_lane else lane.width / 2 - rng.uniform(0.4, 1)
            )
            path = self._drive(lane, lane.path.length + speed * self.duration + 30).beside(-float(aside))
            along = rng.uniform(1.0, lane.path.length + 8.0)
            halts = ()
            if self.signals.green[lane.number] > self.plan.begin and along < self.signals.lines[lane.number] - 1:
                halts = ((self.signals.lines[lane.number] - 1 - rng.uniform(0, 3), self.signals.green[lane.number]),)
            motion = stop_and_go(path, speed, self.plan.begin, self.plan.end, along, halts)
            self.plan.put("cyclist", motion, 0.0, RIDDEN, gap=0.2)


def _articulated(plan: Plan, motion: Along) -> list[Placement] | None:
    """Return a truck or car on its way with a trailer behind it, None where the path does not reach back far enough."""
    names = [("tractor", "long trailer"), ("truck", "trailer"), ("car", "small trailer")]
    pulling, pulled = names[int(plan.rng.choice(3, p=[0.45, 0.2, 0.35]))]
    truck, trailer = (plan.draw(name, motion, 0.0, STOPPED) for name in (pulling, pulled))
    behind = (truck.size[0] + trailer.size[0]) / 2 + 0.3
    if motion.distances[0] < behind + trailer.size[0] / 2:
        return None
    return [truck, replace(trailer, motion=shifted(motion, -behind))]
