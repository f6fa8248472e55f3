"""This module defines paths of straights and arcs, and motion along them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from .town import ALONG_X, ALONG_Y, Block, Town

RIGHT_TURN_RADIUS = 8.5
LEFT_TURN_RADIUS = 11.0


@dataclass(frozen=True)
class Path:
    """A `Path` is a chain of straights and arcs of constant curvature."""

    starts: ndarray
    """`[k, 3]` x, y (m) and heading (rad) where each straight or arc begins."""
    curvatures: ndarray
    """`[k]` curvatures (1/m): positive for left turns, zero for straights."""
    lengths: ndarray
    """`[k]` lengths (m)."""
    closed: bool = False
    """Whether the path ends where it begins."""

    @property
    def length(self) -> float:
        """The length of the whole path, in metres."""
        return float(self.lengths.sum())

    def at(self, distance: ndarray) -> tuple[ndarray, ndarray]:
        """Return x, y, heading `[n, 3]` and curvature `[n]` at distances `[n]` (m) from the start."""
        distance = np.asarray(distance, dtype=np.float64)
        if self.closed:
            distance = distance % self.length
        ends = np.cumsum(self.lengths)
        piece = np.minimum(np.searchsorted(ends, distance, side="right"), len(ends) - 1)
        s = distance - (ends - self.lengths)[piece]
        x, y, heading = self.starts[piece].T
        curvature = self.curvatures[piece]
        turned = heading + curvature * s
        bend = np.abs(curvature) > 1e-9
        safe = np.where(bend, curvature, 1.0)
        dx = np.where(bend, (np.sin(turned) - np.sin(heading)) / safe, s * np.cos(heading))
        dy = np.where(bend, (np.cos(heading) - np.cos(turned)) / safe, s * np.sin(heading))
        return np.stack([x + dx, y + dy, turned], axis=1), curvature


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
        return self.path.at(np.interp(times, self.times, self.distances))[0]


Motion = Still | Along


class PathBuilder:
    """A `PathBuilder` puts straights and turns behind one another."""

    def __init__(self, x: float, y: float, heading: float) -> None:
        self._pose = np.array([x, y, heading], dtype=np.float64)
        self._pieces: list[tuple[ndarray, float, float]] = []

    def straight(self, length: float) -> "PathBuilder":
        """Add a straight of `length` metres, and return this builder."""
        return self._add(length, 0.0)

    def turn(self, angle: float, radius: float) -> "PathBuilder":
        """Add an arc that turns by `angle` (rad, left is positive) at `radius` metres, and return this builder."""
        return self._add(abs(angle) * radius, np.sign(angle) / radius)

    def build(self, closed: bool = False) -> Path:
        """Return the path as it is so far."""
        starts, lengths, curvatures = zip(*self._pieces)
        return Path(np.array(starts), np.array(curvatures), np.array(lengths), closed)

    @property
    def length(self) -> float:
        """The length of the path so far, in metres."""
        return sum(length for _, length, _ in self._pieces)

    def _add(self, length: float, curvature: float) -> "PathBuilder":
        if length > 0:
            self._pieces.append((self._pose.copy(), length, curvature))
            piece = Path(self._pose[None], np.array([curvature]), np.array([length]))
            self._pose = piece.at(np.array([length]))[0][0]
        return self


@dataclass(frozen=True)
class StreetStart:
    """A `StreetStart` says where a drive begins: in a lane of a street."""

    axis: int
    street: int
    """Index among the streets of that axis."""
    direction: int
    along: float
    """Coordinate along the street (m)."""
    lane: int = 0


def drive_through(
    town: Town, rng: np.random.Generator, start: StreetStart, length: float, turn_at_first: int = 0, turns: float = 0.5
) -> Path:
    """Draw a path in the lanes of the town that is at least `length` metres long.

    Args:
        turn_at_first: what to do at the first crossing: 1 turns left, -1 turns right, 0 leaves it to the draw.
        turns: probability of a turn at any other crossing; a drive that would leave the inner streets turns anyway.
    """
    axis, direction, along = start.axis, start.direction, start.along
    street = town.streets(axis)[start.street]
    line = street.line(direction, street.lane_offset(min(start.lane, street.lanes - 1)))
    heading = _heading(axis, direction)
    builder = PathBuilder(*((along, line) if axis == ALONG_X else (line, along)), heading)
    first = True
    while builder.length < length:
        crossings = town.streets(ALONG_Y if axis == ALONG_X else ALONG_X)
        ahead = [k for k, c in enumerate(crossings) if direction * (c.position - along) > c.half_width + 2]
        ahead.sort(key=lambda k: direction * crossings[k].position)
        if not ahead:
            builder.straight(length)
            break
        crossing = crossings[ahead[0]]
        side = turn_at_first if first else int(rng.choice([-1, 0, 1], p=[turns / 2, 1 - turns, turns / 2]))
        if not first and len(ahead) <= 1 and side == 0:
            side = _inward(town, axis, direction, line)
        first = False
        if side == 0:
            end = crossing.position + direction * (crossing.half_width + 1)
            builder.straight(abs(end - along))
            along = end
            continue
        new_direction = _turned(axis, direction, side)
        lane = crossing.lanes - 1 if side < 0 else 0
        new_line = crossing.line(new_direction, crossing.lane_offset(lane))
        radius = RIGHT_TURN_RADIUS if side < 0 else LEFT_TURN_RADIUS
        builder.straight(direction * (new_line - along) - radius)
        builder.turn(side * np.pi / 2, radius)
        axis, direction, along, line = 1 - axis, new_direction, line + new_direction * radius, new_line
    return builder.build()


def timetable(path: Path, cruise: float, begin: float, end: float, turn_speed: float = 4.0) -> Along:
    """Drive a path from time `begin` to `end` (s), at `cruise` m/s and in bends no faster than `turn_speed` m/s.

    The car slows down and speeds up by 1.8 m/s².
    """
    step = 0.2
    s = np.arange(0.0, path.length + step, step)
    _, curvature = path.at(np.minimum(s, path.length - 1e-6))
    square = np.where(np.abs(curvature) > 1e-9, min(turn_speed, cruise), cruise) ** 2
    for k in range(1, len(s)):
        square[k] = min(square[k], square[k - 1] + 2 * 1.8 * step)
    for k in range(len(s) - 2, -1, -1):
        square[k] = min(square[k], square[k + 1] + 2 * 1.8 * step)
    speed = np.sqrt(square)
    times = begin + np.concatenate([[0.0], np.cumsum(2 * step / (speed[1:] + speed[:-1]))])
    if times[-1] < end:
        raise ValueError(f"the path of {path.length:.0f} m ends {end - times[-1]:.1f} s too early; make it longer")
    return Along(path, times, s)


def steady(path: Path, speed: float, offset: float, begin: float, end: float) -> Along:
    """Follow a path at one speed (m/s), starting `offset` metres from its beginning."""
    return Along(path, np.array([begin, end]), np.array([offset, offset + speed * (end - begin)]))


def around_block(block: Block, inset: float, clockwise: bool) -> Path:
    """Return a walk around a block on its pavement, `inset` metres from the kerb."""
    low, high = np.array(block.low) + inset, np.array(block.high) - inset
    radius = 3.0
    width, depth = high - low - 2 * radius
    if clockwise:
        builder = PathBuilder(low[0], low[1] + radius, np.pi / 2)
        sides, angle = (depth, width, depth, width), -np.pi / 2
    else:
        builder = PathBuilder(low[0] + radius, low[1], 0.0)
        sides, angle = (width, depth, width, depth), np.pi / 2
    for side in sides:
        builder.straight(side).turn(angle, radius)
    return builder.build(closed=True)


def _heading(axis: int, direction: int) -> float:
    return (0.0 if direction > 0 else np.pi) + (np.pi / 2 if axis == ALONG_Y else 0.0)


def _turned(axis: int, direction: int, side: int) -> int:
    """Return the direction along the other axis after a turn; side 1 is left."""
    # Left of +x is +y; left of +y is -x.
    return side * direction if axis == ALONG_X else -side * direction


def _inward(town: Town, axis: int, direction: int, line: float) -> int:
    """Return the turn that leads towards the middle of the town."""
    middle = town.size[1 if axis == ALONG_X else 0] / 2
    wanted = 1 if middle > line else -1
    return 1 if _turned(axis, direction, 1) == wanted else -1
