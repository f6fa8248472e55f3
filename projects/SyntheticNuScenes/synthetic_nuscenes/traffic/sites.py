"""This module fences off ground: rows and rectangles of cones and barriers, with what works and rests inside."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from synthetic_nuscenes.geometry.paths import Still

from .actors import Plan

Pose = tuple[float, float, float]
Place = Callable[[float, float], Pose]
"""Function from distances (m) along a line and to its left to x, y (m) and heading of the line (rad)."""

CONE, BARRIER, LONG_BARRIER = "cone", "barrier", "long barrier"
STEPS = {CONE: (1.0, 4.0), BARRIER: (2.25, 3.2), LONG_BARRIER: (3.1, 4.5)}
"""Ranges of the distances (m) between the things of a row."""
_HALF_LENGTHS = {BARRIER: 1.05, LONG_BARRIER: 1.5}
_REST = {
    "digger": "vehicle.stopped",
    "small digger": "vehicle.stopped",
    "truck": "vehicle.parked",
    "light truck": "vehicle.parked",
    "trailer": "vehicle.parked",
    "small trailer": "vehicle.parked",
    "worker": "pedestrian.standing",
}


@dataclass(frozen=True)
class Ground:
    """A `Ground` is a strip that things are placed on."""

    plan: Plan
    place: Place
    height: float
    """Height of the ground (m)."""

    def put(self, name: str, along: float, left: float, yaw: float, gap: float = -0.05) -> bool:
        """Place something; `yaw` (rad) counts from the line."""
        x, y, heading = self.place(float(along), float(left))
        return self.plan.put(name, Still(x, y, heading + yaw), self.height, _REST.get(name, ""), gap)

    def row(self, name: str, start: tuple[float, float], stop: tuple[float, float], step: float) -> int:
        """Place a row of cones or barriers between two points (along, left); returns how many found room."""
        rng = self.plan.rng
        start_, stop_ = np.array(start), np.array(stop)
        length = float(np.hypot(*(stop_ - start_)))
        direction = float(np.arctan2(*(stop_ - start_)[::-1]))
        # Barriers stand across their own x axis.
        half, flip, sloppy = _HALF_LENGTHS.get(name, 0.0), np.pi * rng.integers(2), rng.uniform(0.0, 0.12)
        found = 0
        for s in np.arange(half, max(length - half, half) + 0.01, step):
            along, left = start_ + (stop_ - start_) * (s / max(length, 1e-6))
            yaw = direction - np.pi / 2 + flip + rng.normal(0, sloppy) if half else rng.uniform(-3, 3)
            found += self.put(name, along, left + rng.normal(0, 0.4 * sloppy), yaw)
        return found

    def fence(self, start: float, stop: float, low: float, high: float, sides: str) -> None:
        """Fence a rectangle (along from `start` to `stop`, left from `low` to `high`) on some of its sides.

        Args:
            sides: letters of the sides: `s` at the start, `e` at the end, `l` on the left, `r` on the right.
        """
        rng = self.plan.rng
        lines = {
            "s": ((start, low), (start, high)),
            "e": ((stop, low), (stop, high)),
            "l": ((start, high), (stop, high)),
            "r": ((start, low), (stop, low)),
        }
        usual = str(rng.choice([CONE, BARRIER, LONG_BARRIER], p=[0.4, 0.4, 0.2]))
        for letter in sides:
            name = usual if rng.random() < 0.7 else str(rng.choice([CONE, BARRIER]))
            self.row(name, *lines[letter], float(rng.uniform(*STEPS[name])))

    def fill(self, start: float, stop: float, low: float, high: float) -> None:
        """Place diggers, trucks, trailers and workers inside of a rectangle, as far as there is room."""
        rng, width = self.plan.rng, high - low
        room = (stop - start) * width
        for _ in range(rng.poisson(min(room / 30, 2.0))):
            name = str(rng.choice(["digger", "truck", "light truck", "trailer"], p=[0.68, 0.12, 0.1, 0.1]))
            if width < 3.2:
                name = {"digger": "small digger", "truck": "light truck"}.get(name, name)
            # Across the site only where it is wide.
            yaw = rng.uniform(-np.pi, np.pi) if width > 7.5 else rng.normal(0, 0.12) + np.pi * rng.integers(2)
            reach = min(3.6, (stop - start) / 2)
            left = (low + high) / 2 + rng.normal(0, 0.1) if width < 5 else low + 2 + rng.random() * (width - 4)
            along = start + reach + rng.random() * (stop - start - 2 * reach)
            self.put(name, along, left, yaw, gap=0.0)
        for _ in range(rng.poisson(min(room / 30, 2.2))):
            left = low + width * rng.uniform(0.15, 0.85)
            self.put("worker", rng.uniform(start, stop), left, rng.uniform(-np.pi, np.pi), gap=0.0)


def straight(x: float, y: float, yaw: float) -> Place:
    """Return the places around a point (m) along a straight line with a heading (rad)."""
    c, s = np.cos(yaw), np.sin(yaw)
    return lambda along, left: (float(x + c * along - s * left), float(y + s * along + c * left), yaw)


def draw_sides(rng: np.random.Generator, letters: str = "serl") -> str:
    """Draw which sides of a site are fenced: mostly all of them."""
    return "".join(letter for letter in letters if rng.random() < 0.85)
