"""This module plans a town: a grid of streets, the blocks between them, and where lanes and kerbs run."""

from dataclasses import dataclass

import numpy as np
from numpy import ndarray

LANE_WIDTH = 3.5
PARKING_WIDTH = 2.4
PAVEMENT_WIDTH = 3.6
KERB_HEIGHT = 0.15
CORNER_RADIUS = 5.0
ALONG_X, ALONG_Y = 0, 1
"""The two ways a street can run."""


@dataclass(frozen=True)
class Street:
    """A `Street` runs straight through the whole town; traffic keeps right."""

    axis: int
    """Axis along which the street runs, `ALONG_X` or `ALONG_Y`."""
    position: float
    """Coordinate of the middle line (m): y of a street along x, x of one along y."""
    lanes: int
    """Number of lanes in each direction; a parking lane on each side comes on top."""

    @property
    def half_width(self) -> float:
        """The distance from the middle line to the kerb, in metres."""
        return self.lanes * LANE_WIDTH + PARKING_WIDTH

    def line(self, direction: int, offset: float) -> float:
        """Return the coordinate (m) across the street of a line that runs along it.

        The line lies `offset` metres right of the middle for who drives in `direction` (±1).
        """
        # Right of +x is -y; right of +y is +x.
        side = -direction if self.axis == ALONG_X else direction
        return self.position + side * offset

    def lane_offset(self, lane: int) -> float:
        """Return the distance (m) from the middle line to the middle of a lane; lane 0 is the inner one."""
        return LANE_WIDTH * (lane + 0.5)


@dataclass(frozen=True)
class Block:
    """A `Block` is the rectangle between four kerbs, pavement included."""

    low: tuple[float, float]
    high: tuple[float, float]
    kind: str
    """What the block holds, `houses` or `park`."""

    def outline(self, inset: float = 0.0, radius: float = CORNER_RADIUS, steps: int = 6) -> ndarray:
        """Return the counter-clockwise outline `[n, 2]` with round corners, `inset` metres inside the kerb."""
        low, high = np.array(self.low) + inset, np.array(self.high) - inset
        radius = max(radius - inset, 0.3)
        corners = [(high[0], low[1], -90), (high[0], high[1], 0), (low[0], high[1], 90), (low[0], low[1], 180)]
        points = []
        for x, y, start in corners:
            center = np.clip((x, y), low + radius, high - radius)
            angle = np.deg2rad(start + np.linspace(0, 90, steps))
            points.append(center + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1))
        return np.concatenate(points)


@dataclass(frozen=True)
class Town:
    """A `Town` consists of streets and blocks; all coordinates are positive metres, as on nuScenes' maps."""

    along_x: tuple[Street, ...]
    along_y: tuple[Street, ...]
    blocks: tuple[Block, ...]
    size: tuple[float, float]
    """Extent of the town in x and y (m)."""

    def streets(self, axis: int) -> tuple[Street, ...]:
        """Return the streets that run along an axis, in order of position."""
        return self.along_x if axis == ALONG_X else self.along_y


def lay_out_town(rng: np.random.Generator, streets: int = 5, margin: float = 60.0) -> Town:
    """Draw a town with `streets` streets each way, at uneven distances of 66 to 92 metres."""
    lines = []
    for axis in (ALONG_X, ALONG_Y):
        positions = margin + np.concatenate([[0.0], np.cumsum(rng.uniform(66, 92, streets - 1))])
        lanes = np.where(rng.random(streets) < 0.25, 2, 1)
        lines.append([Street(axis, float(p), int(n)) for p, n in zip(positions, lanes)])
    along_x, along_y = lines
    size = (along_y[-1].position + margin, along_x[-1].position + margin)
    x_edges, y_edges = _edges(along_y, size[0]), _edges(along_x, size[1])
    blocks = []
    for x0, x1 in x_edges:
        for y0, y1 in y_edges:
            kind = "park" if rng.random() < 0.2 else "houses"
            blocks.append(Block((x0, y0), (x1, y1), kind))
    return Town(tuple(along_x), tuple(along_y), tuple(blocks), size)


def _edges(streets: list[Street], size: float) -> list[tuple[float, float]]:
    """Return the spans between kerbs."""
    starts = [0.0] + [s.position + s.half_width for s in streets]
    ends = [s.position - s.half_width for s in streets] + [size]
    return list(zip(starts, ends))
