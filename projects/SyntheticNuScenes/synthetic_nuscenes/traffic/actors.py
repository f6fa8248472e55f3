"""This module defines actors, and the plan that keeps them out of each other's way."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from synthetic_nuscenes.geometry.mesh import Mesh
from synthetic_nuscenes.geometry.paths import Along, Motion, Still
from synthetic_nuscenes.objects.catalogue import GROUND_MARGIN, Kind, build_in_box, draw_kind, draw_size
from synthetic_nuscenes.town.scenery import KeepOut
from synthetic_nuscenes.town.town import Town

from .grounds import Grounds
from .obstacles import clearings, obstacles
from .occupancy import Footprint, Occupancy, footprint

EGO_SIZE = (4.08, 1.73, 1.56)
"""Length, width and height (m) of the recording car, a Renault Zoe."""
KEPT_WITHIN = {"vehicle": 80.0, "cycle": 52.0, "pedestrian": 52.0, "": 42.0}
"""Distance (m) from the way of the ego car within which actors are kept, by the group of their attributes."""
MOST_ACTORS = (125, 1.2)
"""Most actors around a car that stands, and more of them for each metre of its way. The farthest are left out, because
each costs rays."""
_TIME_STEP = 0.1
_EGO_GAP = 0.5
_MOVES = 0.2
"""Speed (m/s) from which on something moves."""


Ground = float | tuple[tuple[float, float], ...]
"""Height (m) of what something stands on; or several with the times (s) from which on, for who steps on a kerb."""


def heights(ground: Ground, times: Float[ndarray, " n"]) -> Float[ndarray, " n"]:
    """Return the heights (m) of the ground at times in seconds."""
    if not isinstance(ground, tuple):
        return np.full(len(times), float(ground))
    starts, levels = zip(*ground)
    return np.array(levels)[np.maximum(np.searchsorted(starts, times, side="right") - 1, 0)]


@dataclass(frozen=True)
class Actor:
    """An `Actor` is one annotated object: its look, its box and its motion."""

    kind: Kind
    size: ndarray
    """`[3]` length, width, height of its annotation box, metres."""
    mesh: Mesh
    """Look of the object, in the frame of the box."""
    motion: Motion
    ground: Ground
    rest: str
    """Attribute while it does not move; "" for kinds without attributes."""

    def heights(self, times: Float[ndarray, " n"]) -> Float[ndarray, " n"]:
        """Return the z coordinates (m) of the middle of the box at times in seconds."""
        return heights(self.ground, times) + GROUND_MARGIN + self.size[2] / 2

    @property
    def radius(self) -> float:
        """The radius of the sphere around its box, in metres."""
        return float(np.linalg.norm(self.size) / 2)

    @property
    def moves(self) -> bool:
        """Whether the actor moves at any time of the scene."""
        return isinstance(self.motion, Along) and bool(np.ptp(self.motion.distances) > 0)

    def attribute(self, time: float) -> str:
        """Return the name of its nuScenes attribute at a time (s); empty for a kind without attributes."""
        return _attribute(self.kind, self.motion, self.rest, time)


@dataclass(frozen=True)
class Placement:
    """A `Placement` is an actor whose look is not built yet."""

    kind: Kind
    size: ndarray
    """`[3]` length, width, height of its annotation box, metres."""
    motion: Motion
    ground: Ground
    rest: str
    look: int
    """Seed of the look."""

    def attribute(self, time: float) -> str:
        """Return the attribute at a time (s); see `Actor.attribute`."""
        return _attribute(self.kind, self.motion, self.rest, time)

    def actor(self) -> Actor:
        """Build the actor."""
        mesh = build_in_box(self.kind, self.size, np.random.default_rng(self.look))
        return Actor(self.kind, self.size, mesh, self.motion, self.ground, self.rest)


@dataclass
class Plan:
    """A `Plan` says who is where in a town between two times.

    The whole town is filled without a look at the ego car (`put`); `actors` are those who come near it and are not in
    its way. So nothing has a usual place around the ego car.
    """

    town: Town
    ego: Along
    begin: float
    end: float
    rng: np.random.Generator
    busyness: float = 1.0
    """How many people and vehicles are about, 1 on an average day."""
    placements: list[Placement] = field(default_factory=list, init=False)
    groups: list[int] = field(default_factory=list, init=False)
    """Number of the group of each placement: those placed together are near the ego car together, or none of them."""
    closures: dict[tuple[int, int], list[tuple[float, float]]] = field(default_factory=dict, init=False)
    """Start and end (m along the kerb) of what is closed of the outer lanes, by road and direction."""

    def __post_init__(self) -> None:
        self.times = np.arange(self.begin, self.end + _TIME_STEP, _TIME_STEP)
        self.taken = Occupancy(self.times)
        self.grounds = Grounds(self.town)
        self._walls = obstacles(self.town)
        for wall in self._walls:
            self.taken.add(wall)
        reach = np.linspace(self.begin, self.end, max(int((self.end - self.begin) / 0.25), 8))
        self._way = self.ego.at(reach)[:, :2]

    def draw(self, name: str, motion: Motion, ground: Ground, rest: str = "") -> Placement:
        """Draw an actor of a kind.

        Args:
            name: key of `catalogue.VARIANTS`.
            motion: where the actor is at each time.
            ground: what it stands on.
            rest: attribute while it does not move.
        """
        kind = draw_kind(name, self.rng)
        size = draw_size(kind, self.rng)
        return Placement(kind, size, motion, ground, rest, int(self.rng.integers(2**62)))

    def put(self, name: str, motion: Motion, ground: Ground, rest: str = "", gap: float = 0.15) -> bool:
        """Draw an actor and add it, if it has ground under it and nobody in its way; see `draw`, `put_together`."""
        return self.put_together([self.draw(name, motion, ground, rest)], gap)

    def put_together(self, placements: Sequence[Placement], gap: float = 0.15) -> bool:
        """Add all of some actors, or none if any has another one in its way or lacks ground of its height.

        The actors may touch each other.

        Args:
            placements: the actors.
            gap: distance that is kept to others, metres.

        Returns:
            whether the actors were added.
        """
        if not all(self._has_ground(placement) for placement in placements):
            return False
        footprints = [footprint(p.motion, p.size, self.times, gap) for p in placements]
        if not all(self.taken.is_free(wanted) for wanted in footprints):
            return False
        group = len(self.placements)
        for placement, wanted in zip(placements, footprints):
            self.taken.add(wanted)
            self.placements.append(placement)
            self.groups.append(group)
        return True

    def _has_ground(self, placement: Placement) -> bool:
        """Return whether an actor finds ground of its height wherever it is; who drives keeps to the lanes anyway."""
        motion, ground = placement.motion, placement.ground
        if placement.kind.states == "pedestrian":
            times = self.times if isinstance(motion, Along) else self.times[:1]
            return self.grounds.carry_person(motion.at(times)[:, :2], heights(ground, times))
        if not isinstance(motion, Still) or isinstance(ground, tuple):
            return True
        carries = self.grounds.carry_vehicle if placement.kind.states == "vehicle" else self.grounds.carry_thing
        return carries(motion, placement.size, ground)

    def close_lane(self, road: int, direction: int, start: float, stop: float) -> None:
        """Keep traffic out of a stretch (m along the kerb) of the outer lane of a road."""
        self.closures.setdefault((road, direction), []).append((start, stop))

    @cached_property
    def actors(self) -> list[Actor]:
        """The actors that come near the ego car and are never in its way, built when they are first asked for."""
        return [placement.actor() for placement in self.nearby]

    @cached_property
    def nearby(self) -> list[Placement]:
        """The placements that come near the ego car and are never in its way, in the order of placing."""
        ego = footprint(self.ego, np.array(EGO_SIZE), self.times, _EGO_GAP)
        taken = self.taken.footprints[len(self._walls) :]
        away = np.array([self._away(wanted) for wanted in taken])
        within = np.array([KEPT_WITHIN[placement.kind.states] for placement in self.placements])
        members = defaultdict(list)
        for k, group in enumerate(self.groups):
            members[group].append(k)
        found = [
            group
            for group, own in members.items()
            if (away[own] < within[own]).any() and not any(taken[k].meets(ego) for k in own)
        ]
        most = int(MOST_ACTORS[0] + MOST_ACTORS[1] * np.hypot(*np.diff(self._way, axis=0).T).sum())
        # Distances in millimeters, so that no rounding error decides who is nearer.
        kept: list[int] = []
        for group in sorted(found, key=lambda group: (round(1000 * away[members[group]].min()), group)):
            if len(kept) + len(members[group]) > most:
                break
            kept += members[group]
        return [self.placements[k] for k in sorted(kept)]

    @cached_property
    def keep_out(self) -> list[KeepOut]:
        """Circles around all that stands or walks on pavements and open ground near the ego car."""
        circles = []
        for placement in self.nearby:
            times = self.times[:: 5 if isinstance(placement.motion, Along) else len(self.times)]
            raised = heights(placement.ground, times) > 0
            radius = float(np.hypot(*placement.size[:2]) / 2)
            # Room for the trunk of a tree, and for more before what is large.
            radius += 0.4 if radius < 1.5 else 1.2
            circles += [(x, y, radius) for x, y, _ in placement.motion.at(times[raised])]
        return clearings(self.town, circles)

    def _away(self, taken: Footprint) -> float:
        """Return the smallest distance (m) from the way of the ego car."""
        return float(np.hypot(*(taken.places[::5, None] - self._way[None]).transpose(2, 0, 1)).min())


def _attribute(kind: Kind, motion: Motion, rest: str, time: float) -> str:
    if kind.states in ("vehicle", "pedestrian"):
        # The mean speed over half a second.
        before, after = motion.at(np.array([time - 0.25, time + 0.25]))[:, :2]
        if np.hypot(*(after - before)) / 0.5 > _MOVES:
            return f"{kind.states}.moving"
    return rest
