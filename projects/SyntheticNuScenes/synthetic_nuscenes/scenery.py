"""This module builds what never moves: streets with their markings, pavements, houses, trees, lamps, fences."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from .buildings import BAY_WIDTH, house
from .greenery import hedge, hills, lawn, planter, tree
from .materials import material
from .mesh import Mesh, box, flat, from_triangles, merged, tube
from .town import ALONG_X, KERB_HEIGHT, LANE_WIDTH, PARKING_WIDTH, PAVEMENT_WIDTH, Block, Street, Town

MARKING_HEIGHT = 0.004
CROSSING_DEPTH = 3.2
DETAIL_RANGE = 85.0


@dataclass(frozen=True)
class KeepOut:
    """A `KeepOut` is a circle that lamps and trees stay out of."""

    x: float
    y: float
    radius: float


def build_scenery(
    town: Town, rng: np.random.Generator, keep_out: list[KeepOut], nearness: Callable[[float, float], float]
) -> Mesh:
    """Build the static world as one mesh.

    Args:
        nearness: returns the distance (m) from a point to the way of the ego car; far blocks get plain houses.
    """
    season = np.array([rng.uniform(0.9, 1.35), rng.uniform(0.9, 1.05), rng.uniform(0.8, 1.1)])
    x, y = town.size
    outline = np.array([[-30.0, -30.0], [x + 30, -30.0], [x + 30, y + 30], [-30.0, y + 30]])
    parts = [flat(outline, 0.0, material("asphalt")), hills(rng, town.size), *markings(town)]
    for block in town.blocks:
        parts += _pavement(block)
        x0, y0, x1, y1 = *block.low, *block.high
        edge = [(x, y) for x in (x0, (x0 + x1) / 2, x1) for y in (y0, (y0 + y1) / 2, y1)]
        near = min(nearness(*p) for p in edge) < DETAIL_RANGE
        parts += _inside(block, rng, season, near)
        if near:
            parts += _kerbside(block, rng, season, keep_out, town.size)
    return merged(parts)


def markings(town: Town) -> list[Mesh]:
    """Build the lines between lanes, stop lines and zebra crossings as thin quads on the asphalt."""
    quads = []
    for axis in (0, 1):
        crossings = town.streets(1 - axis)
        for street in town.streets(axis):
            ends = [(c.position - c.half_width, c.position + c.half_width) for c in crossings]
            starts = [0.0] + [b for _, b in ends]
            stops = [a for a, _ in ends] + [town.size[axis]]
            for start, stop in zip(starts, stops):
                quads += _lines(street, start + CROSSING_DEPTH + 3.5, stop - CROSSING_DEPTH - 3.5)
                for at_crossing, direction in ((stop, 1), (start, -1)):
                    if 0 < at_crossing < town.size[axis]:
                        quads += _zebra(street, at_crossing, direction)
    corners = np.array([[[a0, b0], [a1, b0], [a1, b1], [a0, b1]] for a0, b0, a1, b1, _ in quads])
    vertices = np.concatenate([corners.reshape(-1, 2), np.full((4 * len(quads), 1), MARKING_HEIGHT)], axis=1)
    first = 4 * np.arange(len(quads))[:, None]
    faces = np.concatenate([first + np.array(half) for half in ([0, 1, 2], [0, 2, 3])])
    yellow = np.array([quad[4] for quad in quads])
    mesh = from_triangles(vertices, faces, material("road_marking"))
    mesh.colors[np.concatenate([yellow, yellow])] = (0.62, 0.42, 0.04)
    return [mesh]


def _quad(street: Street, a0: float, a1: float, c0: float, c1: float, yellow: bool = False) -> tuple:
    """Return the rectangle from along a0 to a1 and across c0 to c1 (from the middle line): (x0, y0, x1, y1, yellow)."""
    across = (street.position + c0, street.position + c1)
    if street.axis == ALONG_X:
        return (a0, across[0], a1, across[1], yellow)
    return (across[0], a0, across[1], a1, yellow)


def _lines(street: Street, start: float, stop: float) -> list[tuple]:
    if stop - start < 4:
        return []
    quads = [_quad(street, start, stop, c - 0.06, c + 0.06, True) for c in (-0.14, 0.14)]
    for side in (-1, 1):
        for lane in range(1, street.lanes):
            c = side * lane * LANE_WIDTH
            quads += [_quad(street, a, a + 3.0, c - 0.07, c + 0.07) for a in np.arange(start, stop - 3, 9.0)]
        edge = side * street.lanes * LANE_WIDTH
        quads.append(_quad(street, start + 4, stop - 4, edge - 0.05, edge + 0.05))
        for a in np.arange(start + 4, stop - 4, 6.2):
            c0, c1 = sorted((edge, edge + side * (PARKING_WIDTH - 0.25)))
            quads.append(_quad(street, a - 0.05, a + 0.05, c0, c1))
    return quads


def _zebra(street: Street, crossing: float, direction: int) -> list[tuple]:
    """Return bars across the street and a stop line before them; `direction` is that of the traffic that stops."""
    near, far = crossing - direction * 1.0, crossing - direction * (1.0 + CROSSING_DEPTH)
    a0, a1 = sorted((near, far))
    bars = np.arange(-street.half_width + 0.7, street.half_width - 0.5, 1.1)
    quads = [_quad(street, a0, a1, c, c + 0.55) for c in bars]
    s0, s1 = sorted((far - direction * 1.0, far - direction * 1.4))
    c0, c1 = sorted((street.line(direction, 0.3), street.line(direction, street.lanes * LANE_WIDTH)))
    quads.append(_quad(street, s0, s1, c0 - street.position, c1 - street.position))
    return quads


def _pavement(block: Block) -> list[Mesh]:
    """Build a slab with a kerb around it."""
    kerb, inner = block.outline(), block.outline(0.3)
    ring = np.stack([_raised(kerb, -0.1), _raised(kerb, KERB_HEIGHT), _raised(inner, KERB_HEIGHT)])
    n = len(kerb)
    index = np.arange(3 * n).reshape(3, n)
    a, b = index[:-1], np.roll(index[:-1], -1, axis=1)
    c, d = np.roll(index[1:], -1, axis=1), index[1:]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    return [
        from_triangles(ring.reshape(-1, 3), faces, material("kerb")),
        flat(inner, KERB_HEIGHT, material("pavement")),
    ]


def _raised(outline: ndarray, height: float) -> ndarray:
    return np.column_stack([outline, np.full(len(outline), height)])


def _inside(block: Block, rng: np.random.Generator, season: ndarray, near: bool) -> list[Mesh]:
    """Build what is behind the pavement: houses with yards, or a park."""
    low, high = np.array(block.low) + PAVEMENT_WIDTH, np.array(block.high) - PAVEMENT_WIDTH
    ground = KERB_HEIGHT + 0.03
    if (high - low).min() < 16:
        return [lawn(rng, low, high, ground, 0.0)]
    if block.kind == "park" and near:
        parts = [lawn(rng, low, high, ground, 0.45), *_fence(low + 0.3, high - 0.3, ground)]
        for _ in range(int((high - low).prod() / 170)):
            parts.append(tree(rng, *rng.uniform(low + 4, high - 4), ground, rng.uniform(6, 11), season))
        return parts
    parts = [lawn(rng, low, high, ground, 0.05, cell=12.0)]
    for side in range(4):
        parts += _row_of_houses(low, high, side, ground, rng, season, near)
    return parts


def _row_of_houses(
    low: ndarray, high: ndarray, side: int, ground: float, rng: np.random.Generator, season: ndarray, near: bool
) -> list[Mesh]:
    """Build houses along one side of a block, with gaps; rows along y leave the corners to those along x."""
    depth = 11.0
    axis = 0 if side in (0, 2) else 1
    start, stop = (low[0], high[0]) if axis == 0 else (low[1] + depth + 3, high[1] - depth - 3)
    parts = []
    at = start + rng.choice([0.0, 1.5])
    while stop - at > 8:
        width = min(rng.integers(4, 8) * BAY_WIDTH, stop - at)
        setback = rng.choice([0.0, 0.0, 2.0])
        front = {0: low[1] + setback, 2: high[1] - setback - depth, 1: high[0] - setback - depth, 3: low[0] + setback}[
            side
        ]
        corner = np.array([at, front]) if axis == 0 else np.array([front, at])
        extent = np.array([width, depth]) if axis == 0 else np.array([depth, width])
        parts.append(house(rng, corner, corner + extent, ground, side, near))
        if setback > 0 and near:
            line = {0: low[1], 2: high[1], 1: high[0], 3: low[0]}[side]
            inward = 0.7 if side in (0, 3) else -0.7
            for a, b in ((at + 0.5, at + 0.38 * width), (at + 0.62 * width, at + width - 0.5)):
                ends = [np.array([p, line + inward]) if axis == 0 else np.array([line + inward, p]) for p in (a, b)]
                parts.append(hedge(rng, *ends, ground))
        at += width
        if rng.random() < 0.4:
            gap = rng.uniform(2.5, 6.0)
            if at + gap < stop - 8 and near:
                middle = at + gap / 2
                back = front + depth / 2
                place = (middle, back) if axis == 0 else (back, middle)
                parts.append(tree(rng, *place, ground, rng.uniform(5, 8), season))
            at += gap
    return parts


def _fence(low: ndarray, high: ndarray, ground: float) -> list[Mesh]:
    """Build steel posts and two rails around a rectangle, with an opening in the middle of each side."""
    corners = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
    steel, parts = material("steel"), []
    for k in range(4):
        a, b = corners[k], corners[(k + 1) % 4]
        for start, stop in ((a, a + 0.44 * (b - a)), (a + 0.56 * (b - a), b)):
            for z in (0.35, 1.05):
                reach = np.stack([start, stop])
                parts.append(
                    box((*(reach.min(0) - 0.03), ground + z), (*(reach.max(0) + 0.03), ground + z + 0.06), steel)
                )
            count = max(int(np.linalg.norm(stop - start) / 0.5), 1)
            for share in np.arange(count + 1) / count:
                p = start + share * (stop - start)
                wide = 0.045 if round(share * count) % 5 == 0 else 0.016
                parts.append(box((*(p - wide), ground), (*(p + wide), ground + 1.15), steel))
    return parts


def _kerbside(
    block: Block, rng: np.random.Generator, season: ndarray, keep_out: list[KeepOut], size: tuple[float, float]
) -> list[Mesh]:
    """Build trees, lamps, signs and tubs in a row behind the kerb."""
    low, high = np.array(block.low), np.array(block.high)
    parts = []
    for side in range(4):
        along = 0 if side in (0, 2) else 1
        line = (low[1] + 0.9, high[0] - 0.9, high[1] - 0.9, low[0] + 0.9)[side]
        inward = 1.0 if side in (0, 3) else -1.0
        at_edge = (low[1] <= 0, high[0] >= size[0], high[1] >= size[1], low[0] <= 0)[side]
        if at_edge:
            continue
        for k, at in enumerate(np.arange(low[along] + 7, high[along] - 6, 8.5)):
            x, y = (at, line) if along == 0 else (line, at)
            if any(np.hypot(x - k.x, y - k.y) < k.radius for k in keep_out):
                continue
            if k % 3 == 0:
                arm = np.array([0.0, -inward]) if along == 0 else np.array([-inward, 0.0])
                parts.append(_lamp(x, y, arm))
            elif rng.random() < 0.62:
                parts.append(tree(rng, x, y, KERB_HEIGHT, rng.uniform(5.0, 7.5), season))
            elif rng.random() < 0.5:
                parts.append(planter(x, y, KERB_HEIGHT, rng))
            else:
                parts.append(_sign(x, y, rng, along))
    return parts


def _lamp(x: float, y: float, arm: ndarray) -> Mesh:
    steel = material("steel")
    tip = (x + 1.6 * arm[0], y + 1.6 * arm[1])
    return merged(
        [
            tube((x, y, 0), (x, y, 1.0), 0.11, steel),
            tube((x, y, 1.0), (x, y, 6.6), (0.075, 0.05), steel),
            tube((x, y, 6.5), (*tip, 6.8), 0.045, steel, sides=6),
            box((tip[0] - 0.3, tip[1] - 0.16, 6.7), (tip[0] + 0.3, tip[1] + 0.16, 6.82), material("trim")),
            box((tip[0] - 0.26, tip[1] - 0.13, 6.66), (tip[0] + 0.26, tip[1] + 0.13, 6.71), material("lamp")),
        ]
    )


def _sign(x: float, y: float, rng: np.random.Generator, along: int) -> Mesh:
    color = ((0.03, 0.09, 0.33), (0.45, 0.03, 0.03), (0.55, 0.4, 0.03))[rng.integers(3)]
    half = (0.03, 0.3) if along == 0 else (0.3, 0.03)
    plate = box((x - half[0], y - half[1], 2.1), (x + half[0], y + half[1], 2.75), material("sign"), color)
    return merged([tube((x, y, 0), (x, y, 2.8), 0.035, material("steel"), sides=6), plate])
