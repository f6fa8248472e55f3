"""This module defines actors, and the plan that keeps them out of each other's way."""

from dataclasses import dataclass, field

import numpy as np
from numpy import ndarray

from .catalogue import GROUND_MARGIN, KINDS, Kind, build_in_box, draw_size
from .mesh import Mesh
from .paths import Along, Motion, Still
from .scenery import KeepOut
from .town import Town

EGO_SIZE = (4.08, 1.73, 1.56)
"""Length, width and height (m) of the recording car, a Renault Zoe."""


@dataclass(frozen=True)
class Actor:
    """An `Actor` is one annotated object: its look, its box and its motion."""

    kind: Kind
    size: ndarray
    """`[3]` length, width, height of its annotation box, metres."""
    mesh: Mesh
    """Look of the object, in the frame of the box."""
    motion: Motion
    ground: float
    """Height of what it stands on, metres."""
    rest: str
    """Attribute while it does not move; "" for kinds without attributes."""

    @property
    def height(self) -> float:
        """The z coordinate of the middle of the box, in metres."""
        return self.ground + GROUND_MARGIN + self.size[2] / 2

    @property
    def radius(self) -> float:
        """The radius of the sphere around its box, in metres."""
        return float(np.linalg.norm(self.size) / 2)

    @property
    def moves(self) -> bool:
        """Whether the actor moves at any time of the scene."""
        return isinstance(self.motion, Along)

    def attribute(self) -> str:
        """Return the name of its nuScenes attribute, or an empty string for a kind without attributes."""
        if self.moves and self.kind.states in ("vehicle", "pedestrian"):
            return f"{self.kind.states}.moving"
        return self.rest


@dataclass
class Plan:
    """A `Plan` holds the actors placed so far and the room that they take, so that none is in another's way."""

    town: Town
    ego: Along
    begin: float
    end: float
    rng: np.random.Generator
    actors: list[Actor] = field(default_factory=list)
    keep_out: list[KeepOut] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.times = np.arange(self.begin, self.end + 0.1, 0.1)
        self.taken = [_discs(self.ego, np.array(EGO_SIZE), self.times, 0.5)]
        reach = np.linspace(self.begin, self.end, 8)
        self.places = self.ego.at(reach)[:, :2]

    def put(
        self, name: str, motion: Motion, ground: float, rest: str = "", gap: float = 0.15, free: bool = False
    ) -> bool:
        """Add an actor, unless another one is in its way.

        Args:
            name: key of `KINDS`.
            motion: where the actor is at each time.
            ground: height of what it stands on, metres.
            rest: attribute while it does not move.
            gap: distance that is kept to others, metres.
            free: whether to add the actor without looking for others.

        Returns:
            whether the actor was added.
        """
        kind = KINDS[name]
        size = draw_size(kind, self.rng)
        discs = _discs(motion, size, self.times, gap)
        if not free and any(_meet(discs, other) for other in self.taken):
            return False
        mesh = build_in_box(kind, size, self.rng)
        self.taken.append(discs)
        self.actors.append(Actor(kind, size, mesh, motion, ground, rest))
        return True

    def nearness(self, x: float, y: float) -> float:
        """Return the distance (m) from a point to the nearest place that the ego car passes."""
        return float(np.hypot(*(self.places - (x, y)).T).min())


def _discs(motion: Motion, size: ndarray, times: ndarray, gap: float) -> tuple[ndarray, float]:
    """Cover an object with a row of discs: their middles are `[times, discs, 2]`, and they share one radius (m)."""
    length, width = max(size[0], size[1]), min(size[0], size[1])
    turn = 0.0 if size[0] >= size[1] else np.pi / 2
    count = max(int(np.ceil(length / width)), 1)
    offsets = np.linspace(-0.5, 0.5, count) * (length - width)
    poses = motion.at(times[:1] if isinstance(motion, Still) else times)
    heading = poses[:, 2] + turn
    forward = np.stack([np.cos(heading), np.sin(heading)], axis=1)
    middles = poses[:, None, :2] + offsets[None, :, None] * forward[:, None]
    return middles, width * 0.55 + gap / 2


def _meet(a: tuple[ndarray, float], b: tuple[ndarray, float]) -> bool:
    """Return whether two rows of discs ever overlap."""
    difference = a[0][:, :, None] - b[0][:, None, :]
    return bool((np.square(difference).sum(axis=-1) < (a[1] + b[1]) ** 2).any())
