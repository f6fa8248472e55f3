"""This module defines paths as finely sampled curves, and motion along them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from numpy import ndarray

SPACING = 0.2
"""Distance (m) between the samples of a path: a bend of 6 m is met to within a millimetre."""


@dataclass(frozen=True)
class Path:
    """A `Path` is a smooth curve on the ground that is followed from its first sample to its last."""

    points: ndarray
    """`[n, 2]` samples (m), no two the same one after another."""
    closed: bool = False
    """Whether the path ends where it begins; the last sample then repeats the first."""

    @cached_property
    def distances(self) -> Float[ndarray, " n"]:
        """The distances (m) of the samples from the start, along the path."""
        return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(self.points, axis=0).T))])

    @cached_property
    def headings(self) -> Float[ndarray, " n"]:
        """The headings (rad) at the samples, without jumps."""
        before, after = np.diff(self.points, axis=0)[:-1], np.diff(self.points, axis=0)[1:]
        middle = before / np.linalg.norm(before, axis=1)[:, None] + after / np.linalg.norm(after, axis=1)[:, None]
        ends = np.diff(self.points, axis=0)[[0, -1]]
        if self.closed:
            unit = ends / np.linalg.norm(ends, axis=1)[:, None]
            ends = np.repeat(unit.sum(axis=0)[None], 2, axis=0)
        directions = np.concatenate([ends[:1], middle, ends[1:]])
        return np.unwrap(np.arctan2(directions[:, 1], directions[:, 0]))

    @property
    def length(self) -> float:
        """The length of the whole path, in metres."""
        return float(self.distances[-1])

    def at(self, distance: ndarray) -> Float[ndarray, "k 3"]:
        """Return x, y (m) and heading (rad) at distances `[k]` (m) from the start; beyond an end that end is returned.

        A closed path goes round.
        """
        distance = np.asarray(distance, dtype=np.float64)
        laps = 0.0
        if self.closed:
            laps, distance = np.divmod(distance, self.length)
        columns = (*self.points.T, self.headings)
        x, y, heading = (np.interp(distance, self.distances, column) for column in columns)
        return np.stack([x, y, heading + laps * (self.headings[-1] - self.headings[0])], axis=1)

    def curvature(self, distance: ndarray, window: float = 2.0) -> Float[ndarray, " k"]:
        """Return the curvature (1/m, left is positive) at distances `[k]`, the mean over `window` metres."""
        ends = [self.at(np.asarray(distance) + shift)[:, 2] for shift in (-window / 2, window / 2)]
        return (ends[1] - ends[0]) / window

    def beside(self, offset: float) -> "Path":
        """Return the path `offset` metres to the left, or to the right where it is negative.

        Inside of a bend that is narrower than the offset, the samples that would run backwards are left out.
        """
        left = np.stack([-np.sin(self.headings), np.cos(self.headings)], axis=1)
        moved = self.points + offset * left
        forward = np.stack([np.cos(self.headings), np.sin(self.headings)], axis=1)
        steps = np.einsum("ij,ij->i", np.diff(moved, axis=0), forward[:-1])
        return sampled(moved[np.concatenate([[True], steps > 1e-3])], self.closed)

    def part(self, start: float, stop: float) -> "Path":
        """Return the stretch between two distances (m), of which `start` must be the smaller."""
        inner = self.distances[(self.distances > start + 1e-3) & (self.distances < stop - 1e-3)]
        return Path(self.at(np.concatenate([[start], inner, [stop]]))[:, :2])

    def reversed(self) -> "Path":
        """Return the same path in the other direction."""
        return Path(self.points[::-1].copy(), self.closed)


def sampled(points: Float[ndarray, "n 2"], closed: bool = False, spacing: float = SPACING) -> Path:
    """Return the path along straight pieces between points, with samples `spacing` metres apart.

    Raises:
        ValueError: for less than two different points.
    """
    points = np.asarray(points, dtype=np.float64)
    if closed and np.hypot(*(points[0] - points[-1])) > 1e-9:
        points = np.concatenate([points, points[:1]])
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    if len(points) < 2 or along[-1] < 1e-6:
        raise ValueError(f"a path needs two different points, got {points.tolist()}")
    wanted = np.linspace(0.0, along[-1], max(round(along[-1] / spacing), 2) + 1)
    return Path(np.stack([np.interp(wanted, along, column) for column in points.T], axis=1), closed)


def joined(paths: Sequence[Path]) -> Path:
    """Return paths one after another; each should begin where the one before ends."""
    points = np.concatenate([path.points for path in paths])
    steps = np.hypot(*np.diff(points, axis=0).T)
    return Path(points[np.concatenate([[True], steps > 1e-6])])


def curve(start: ndarray, end: ndarray, pull: float = 0.4) -> Path:
    """Return a cubic curve between two poses (x, y in metres, heading in radians).

    Args:
        pull: how far the curve keeps to the headings, as a share of the distance between the poses.
    """
    handle = pull * np.hypot(*(end[:2] - start[:2]))
    out, back = (handle * np.array([np.cos(p[2]), np.sin(p[2])]) for p in (start, end))
    corners = np.stack([start[:2], start[:2] + out, end[:2] - back, end[:2]])
    # Chords shorter than the samples, or headings would rise in steps.
    t = np.linspace(0.0, 1.0, max(int(2 * handle / (pull * SPACING)), 32))[:, None]
    weights = np.concatenate([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3], axis=1)
    return sampled(weights @ corners)


@dataclass(frozen=True)
class Still:
    """`Still` is the motion of something that stays where it is."""

    x: float
    y: float
    yaw: float

    def at(self, times: Float[ndarray, " n"]) -> Float[ndarray, "n 3"]:
        """Return x, y (m) and yaw (rad) at times in seconds."""
        return np.broadcast_to([self.x, self.y, self.yaw], (len(times), 3)).astype(np.float64)


@dataclass(frozen=True)
class Along:
    """`Along` is the motion of something that follows a path by a timetable."""

    path: Path
    times: ndarray
    """`[m]` rising times (s)."""
    distances: ndarray
    """`[m]` distances (m) along the path at these times."""

    def at(self, times: Float[ndarray, " n"]) -> Float[ndarray, "n 3"]:
        """Return x, y (m) and yaw (rad) at times in seconds."""
        return self.path.at(self.travelled(times))

    def travelled(self, times: Float[ndarray, " n"]) -> Float[ndarray, " n"]:
        """Return the distances (m) along the path at times in seconds."""
        return np.interp(times, self.times, self.distances)


Motion = Still | Along


def steady(path: Path, speed: float, offset: float, begin: float, end: float) -> Along:
    """Follow a path at one speed (m/s), starting `offset` metres from its beginning."""
    return Along(path, np.array([begin, end]), np.array([offset, offset + speed * (end - begin)]))


class PathBuilder:
    """A `PathBuilder` puts straights and arcs behind one another."""

    def __init__(self, x: float, y: float, heading: float) -> None:
        self._heading = heading
        self._points = [np.array([[x, y]])]

    def straight(self, length: float) -> "PathBuilder":
        """Add a straight of `length` metres, and return this builder."""
        return self._add(length, 0.0)

    def turn(self, angle: float, radius: float) -> "PathBuilder":
        """Add an arc that turns by `angle` (rad, left is positive) at `radius` metres, and return this builder."""
        return self._add(abs(angle) * radius, np.sign(angle) / radius)

    def build(self, closed: bool = False) -> Path:
        """Return the path as it is so far."""
        return sampled(np.concatenate(self._points), closed, spacing=SPACING / 2)

    def _add(self, length: float, curvature: float) -> "PathBuilder":
        # Chords between points on the arc, short enough for a tenth of a millimetre.
        s = np.linspace(0.0, length, max(round(length / (SPACING / 2)), 1) + 1)[1:]
        middle = self._heading + curvature * s / 2
        chord = s * np.sinc(curvature * s / (2 * np.pi))
        self._points.append(self._points[-1][-1] + chord[:, None] * np.stack([np.cos(middle), np.sin(middle)], axis=1))
        self._heading += curvature * length
        return self
