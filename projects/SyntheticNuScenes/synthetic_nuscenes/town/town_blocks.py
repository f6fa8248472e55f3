"""This module builds what is inside kerbs: pavements, and behind them houses, parks, plazas and grass."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy import ndarray
from shapely.geometry.base import BaseGeometry

from synthetic_nuscenes.geometry.materials import material
from synthetic_nuscenes.geometry.mesh import Mesh, ball, box, merged, tube
from synthetic_nuscenes.geometry.paths import Path
from synthetic_nuscenes.geometry.surfaces import level, mounds, upright

from .buildings import BAY_WIDTH, BUILDING_STYLES, BuildingStyle, house
from .greenery import conifer, hedge, planter, tree
from .town import KERB_HEIGHT, Block

_KERB_WIDTH = 0.3
_ROWS = {
    "old town": {"terraces": 0.8, "blocks": 0.15, "villas": 0.05},
    "suburb": {"villas": 0.75, "terraces": 0.2, "blocks": 0.05},
    "centre": {"blocks": 0.55, "towers": 0.35, "terraces": 0.1},
    "industrial": {"halls": 0.8, "blocks": 0.12, "villas": 0.08},
}
"""Shares of the kinds of rows of houses in each style of town."""


@dataclass(frozen=True)
class Surroundings:
    """`Surroundings` hold what the builders of all blocks share."""

    style: str
    """Style of the town."""
    detail: BaseGeometry
    """Where the car comes near enough to see details."""
    view: BaseGeometry
    """Where anything is built at all."""
    taken: BaseGeometry
    """Where nothing may stand: under bridges, beside crossings, at road works."""
    season: ndarray
    """`[3]` factors that tint leaves."""


def pavement(block: Block) -> list[Mesh]:
    """Build the kerb of a block and the pavement behind it; an island has stones alone."""
    outline = block.outline
    inner = outline.buffer(-_KERB_WIDTH)
    parts = upright(outline, -0.1, KERB_HEIGHT, material("kerb"))
    parts += level(outline.difference(inner), KERB_HEIGHT, material("kerb"))
    if block.kind != "island":
        ring = inner.difference(block.behind_pavement())
        parts += level(ring, KERB_HEIGHT, material("pavement"))
    return parts


def inside(block: Block, rng: np.random.Generator, around: Surroundings) -> list[Mesh]:
    """Build what is behind the pavement of a block."""
    ground = block.outline.buffer(-_KERB_WIDTH if block.kind == "island" else -block.pavement)
    if ground.is_empty:
        return []
    return _BUILDERS[block.kind](block, ground, rng, around)


def _houses(block: Block, ground: BaseGeometry, rng: np.random.Generator, around: Surroundings) -> list[Mesh]:
    rows = _ROWS[around.style]
    style = BUILDING_STYLES[str(rng.choice(list(rows), p=list(rows.values())))]
    yard = "pavement" if around.style == "industrial" and rng.random() < 0.6 else "lawn"
    parts = level(ground, KERB_HEIGHT, material(yard))
    path = block.walk(block.pavement)
    if path is not None:
        parts += _row(path, style, ground, rng, around)
    if yard == "lawn":
        parts += _trees(ground.buffer(-16.0), rng, around, 1 / 260)
    return parts


def _row(
    path: Path, style: BuildingStyle, ground: BaseGeometry, rng: np.random.Generator, around: Surroundings
) -> list[Mesh]:
    """Build houses along the inner edge of a pavement, as far as they are in view and have room."""
    free = shapely.difference(ground.buffer(0.35), around.taken)
    shapely.prepare(free)
    parts: list[Mesh] = []
    placed: list[BaseGeometry] = []
    at = rng.uniform(0, 4)
    while at < path.length - 8:
        width = int(rng.integers(style.bays[0], style.bays[1] + 1)) * BAY_WIDTH
        depth, setback = rng.uniform(*style.depth), float(rng.choice(style.setback))
        own = rng.spawn(1)[0]
        x, y, heading = path.at(np.array([at + width / 2]))[0]
        left = np.array([-np.sin(heading), np.cos(heading)])
        along = np.array([np.cos(heading), np.sin(heading)])
        for more in (0.0, 0.6, 1.8):
            front = np.array([x, y]) + (setback + more) * left
            corners = [
                front + a * along + b * left
                for a, b in ((-1, 0), (1, 0), (1, 1), (-1, 1))
                for a, b in [(a * width / 2, b * depth)]
            ]
            ground_plan = shapely.Polygon(corners)
            if shapely.contains(free, ground_plan) and not any(p.intersects(ground_plan) for p in placed):
                break
        else:
            at += 3.0
            continue
        placed.append(ground_plan.buffer(0.05))
        if around.view.intersects(ground_plan):
            near = around.detail.intersects(ground_plan)
            parts.append(
                house(own, style, width, depth, KERB_HEIGHT, near, setback >= 2.0).moved((*front, 0.0), heading)
            )
            if near and setback >= 2.0 and own.random() < 0.7:
                for a, b in ((-0.48, -0.12), (0.12, 0.48)):
                    ends = [np.array([x, y]) + 0.7 * left + share * width * along for share in (a, b)]
                    if not shapely.LineString(ends).intersects(around.taken):
                        parts.append(hedge(own, *ends, KERB_HEIGHT))
        at += width + (rng.uniform(1.5, 9.0) if rng.random() < style.gap else 0.02)
    return parts


def _trees(
    ground: BaseGeometry, rng: np.random.Generator, around: Surroundings, density: float, height: tuple = (5.0, 11.0)
) -> list[Mesh]:
    """Build trees at random places of the ground that is seen in detail, `density` of them on a square metre."""
    if ground.is_empty:
        return []
    x0, y0, x1, y1 = ground.bounds
    count = rng.poisson(density * (x1 - x0) * (y1 - y0))
    places = rng.uniform((x0, y0), (x1, y1), (count, 2))
    firs, owns = rng.uniform(0, 0.6), rng.spawn(count)
    points = shapely.points(places)
    good = shapely.contains(ground.intersection(around.detail), points) & ~shapely.intersects(around.taken, points)
    parts = []
    for k in np.flatnonzero(good):
        own = owns[k]
        if own.random() < firs:
            parts.append(conifer(own, *places[k], KERB_HEIGHT, own.uniform(*height)))
        else:
            parts.append(tree(own, *places[k], KERB_HEIGHT, own.uniform(*height), around.season))
    return parts


def _park(block: Block, ground: BaseGeometry, rng: np.random.Generator, around: Surroundings) -> list[Mesh]:
    """Build a meadow with trees, a walk around it, and a fence or none."""
    walk = ground.buffer(-6.0).difference(ground.buffer(-8.2))
    green = ground.difference(walk)
    parts = level(walk, KERB_HEIGHT + 0.01, material("pavement"))
    rise, fenced, density = rng.uniform(0.1, 0.5), rng.random() < 0.5, 1 / rng.uniform(90, 300)
    hills = rng.spawn(1)[0]
    for part in shapely.get_parts(green.intersection(around.detail)):
        if part.area > 30:
            parts += mounds(hills, part, KERB_HEIGHT, rise, material("lawn"))
    parts += level(green.difference(around.detail), KERB_HEIGHT, material("lawn"))
    if fenced:
        parts += _fence(block, around)
    return parts + _trees(green.buffer(-1.5), rng, around, density)


def _green(block: Block, ground: BaseGeometry, rng: np.random.Generator, around: Surroundings) -> list[Mesh]:
    """Build rough grass with few or many trees and bushes."""
    parts = level(ground, KERB_HEIGHT, material("lawn"))
    parts += _trees(ground.buffer(-1.0), rng, around, 1 / rng.uniform(60, 500), (3.0, 10.0))
    return parts


def _plaza(block: Block, ground: BaseGeometry, rng: np.random.Generator, around: Surroundings) -> list[Mesh]:
    """Build a paved square with tubs, benches, a fountain or a monument, and houses at its back where it is large."""
    parts = level(ground, KERB_HEIGHT + 0.005, material("plaza"))
    middle = ground.representative_point()
    build, own = (_fountain if rng.random() < 0.5 else _monument), rng.spawn(1)[0]
    if around.detail.contains(middle) and not around.taken.buffer(4).contains(middle):
        parts.append(build(own).moved((middle.x, middle.y, KERB_HEIGHT)))
    x0, y0, x1, y1 = ground.bounds
    inner = ground.buffer(-2.0).intersection(around.detail)
    for _ in range(int(rng.integers(8, 40))):
        x, y = rng.uniform((x0, y0), (x1, y1))
        own = rng.spawn(1)[0]
        point = shapely.Point(x, y)
        if inner.contains(point) and not around.taken.intersects(point):
            tall = own.random() < 0.5
            look = tree(own, x, y, KERB_HEIGHT, own.uniform(4, 8), around.season) if tall else None
            parts.append(look or planter(x, y, KERB_HEIGHT, own))
    return parts


def _island(block: Block, ground: BaseGeometry, rng: np.random.Generator, around: Surroundings) -> list[Mesh]:
    """Build an island in the road: stones, grass with a tree, a hedge or a monument."""
    round_one = ground.area > 40 and ground.area > 0.6 * ground.convex_hull.area
    planted = rng.random() < (0.75 if round_one else 0.5)
    parts = level(ground, KERB_HEIGHT, material("lawn" if planted else "plaza"))
    if not planted or not around.detail.intersects(ground):
        return parts
    middle = ground.centroid
    if round_one and ground.contains(middle):
        choice = rng.integers(4)
        if choice == 0:
            parts.append(_monument(rng).moved((middle.x, middle.y, KERB_HEIGHT)))
        elif choice == 1:
            parts.append(_fountain(rng).moved((middle.x, middle.y, KERB_HEIGHT)))
        else:
            parts += _trees(ground.buffer(-1.0), rng, around, 1 / 25, (3.5, 8.0))
        return parts
    return parts + _trees(ground.buffer(-0.4), rng, around, 1 / 30, (3.0, 6.0))


def _fountain(rng: np.random.Generator) -> Mesh:
    radius, stone = rng.uniform(1.8, 3.2), material("stone")
    return merged(
        [
            tube((0, 0, 0), (0, 0, 0.55), radius, stone, sides=20),
            tube((0, 0, 0.5), (0, 0, 1.6), (0.35, 0.2), stone),
            tube((0, 0, 1.5), (0, 0, 1.7), 0.5 * radius, stone, sides=14),
        ]
    )


def _monument(rng: np.random.Generator) -> Mesh:
    stone, size = material("stone"), rng.uniform(0.8, 1.5)
    parts = [
        box((-size, -size, 0), (size, size, 1.2), stone),
        box((-0.7 * size, -0.7 * size, 1.2), (0.7 * size, 0.7 * size, 2.2), stone),
    ]
    if rng.random() < 0.5:
        parts.append(tube((0, 0, 2.2), (0, 0, 2.2 + 3.5 * size), (0.45 * size, 0.2 * size), stone, sides=4))
    else:
        parts.append(
            ball((0, 0, 2.2 + 0.8 * size), (0.8 * size, 0.8 * size, 0.8 * size), material("steel"), (0.12, 0.2, 0.16))
        )
    return merged(parts)


def _fence(block: Block, around: Surroundings) -> list[Mesh]:
    """Build steel posts and two rails around a park, with gaps to walk through."""
    path = block.walk(block.pavement + 0.3)
    if path is None:
        return []
    steel, parts = material("steel"), []
    for start in np.arange(0.0, path.length - 3.0, 3.0):
        if int(start) % 36 < 3:
            continue
        a, b = path.at(np.array([start, start + 3.0]))
        if not around.detail.contains(shapely.Point(a[:2])) or around.taken.intersects(
            shapely.LineString([a[:2], b[:2]])
        ):
            continue
        for z in (0.35, 1.05):
            parts.append(tube((*a[:2], KERB_HEIGHT + z), (*b[:2], KERB_HEIGHT + z), 0.03, steel, sides=4))
        for share in np.arange(0.0, 1.0, 1 / 6):
            x, y = a[:2] + share * (b[:2] - a[:2])
            wide = 0.045 if share == 0 else 0.016
            parts.append(box((x - wide, y - wide, KERB_HEIGHT), (x + wide, y + wide, KERB_HEIGHT + 1.15), steel))
    return parts


_BUILDERS = {"houses": _houses, "park": _park, "green": _green, "plaza": _plaza, "island": _island}
