"""This module builds what stands beside roads: trees, lamps, signs, benches, bollards, bus shelters."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy import ndarray
from shapely.geometry.base import BaseGeometry

from synthetic_nuscenes.geometry.materials import material
from synthetic_nuscenes.geometry.mesh import Mesh, box, merged, tube

from .greenery import conifer, planter, tree
from .town import KERB_HEIGHT, Block


@dataclass(frozen=True)
class Planting:
    """A `Planting` says what stands along the kerbs of a part of a town."""

    spacing: float
    """Distance between places (m)."""
    lamps: int
    """Every how many places there is a lamp."""
    shares: dict[str, float]
    """Shares of what the other places hold, see `draw_planting`; the rest is empty."""
    lamp_height: float
    lamp_arm: float
    inset: float
    """Distance from the kerb (m)."""
    tree_height: tuple[float, float]


def draw_planting(rng: np.random.Generator) -> Planting:
    """Draw a planting: avenues of trees, bare streets with bollards, and all between."""
    names = ("tree", "conifer", "planter", "sign", "bench", "bollards", "bin")
    share = rng.dirichlet((1.6, 0.25, 0.5, 0.6, 0.4, 0.5, 0.3)) * rng.uniform(0.35, 0.95)
    tall = rng.uniform(4.5, 11.0)
    return Planting(
        float(rng.uniform(5.5, 12.0)),
        int(rng.integers(2, 5)),
        dict(zip(names, share.tolist())),
        float(rng.uniform(4.2, 9.5)),
        float(rng.choice([0.0, 1.2, 1.8, 2.6])),
        float(rng.uniform(0.6, 1.1)),
        (0.75 * tall, 1.15 * tall),
    )


def along_kerb(
    rng: np.random.Generator, block: Block, planting: Planting, season: ndarray, zone: BaseGeometry, taken: BaseGeometry
) -> tuple[list[Mesh], list[ndarray]]:
    """Build what stands behind the kerb of a block.

    Args:
        zone: where things are built.
        taken: where nothing may stand.

    Returns:
        meshes, and the places `[3]` of lamp heads (m).
    """
    path = block.walk(planting.inset)
    parts: list[Mesh] = []
    lamps: list[ndarray] = []
    if path is None:
        return parts, lamps
    places = np.arange(rng.uniform(0, planting.spacing), path.length - 2, planting.spacing)
    poses = path.at(places + rng.uniform(-0.8, 0.8, len(places)))
    points = shapely.points(poses[:, :2])
    free = shapely.contains(zone, points) & ~shapely.intersects(taken, points)
    names, shares = list(planting.shares), list(planting.shares.values())
    for k in range(len(places)):
        # Drawn for each place, so that what stands at one does not hang on what is free at others.
        what = str(rng.choice([*names, ""], p=[*shares, 1 - sum(shares)]))
        own = rng.spawn(1)[0]
        if not free[k]:
            continue
        x, y, heading = poses[k]
        # The road is on the right of a counter-clockwise walk.
        outwards = np.array([np.sin(heading), -np.cos(heading)])
        if k % planting.lamps == 0:
            mesh, head = _lamp(x, y, outwards, planting)
            parts.append(mesh)
            lamps.append(head)
        elif what:
            parts.append(_furniture(own, what, x, y, heading, planting, season))
    return parts, lamps


def shelter(x: float, y: float, heading: float) -> Mesh:
    """Build a bus shelter behind the kerb at x, y (m); `heading` is that of the traffic (rad)."""
    steel, glass = material("steel"), material("glass")
    # In its own frame x runs along the kerb and y away from the road.
    parts = [
        box((-2.1, -0.7, 2.4), (2.1, 0.8, 2.5), steel),
        box((-2.0, 0.7, 0.15), (2.0, 0.74, 2.3), glass),
        box((-1.2, 0.35, 0.45), (1.2, 0.65, 0.5), material("wood")),
        box((-2.05, -0.3, 0.2), (-2.0, 0.7, 2.2), material("sign"), (0.3, 0.25, 0.2)),
    ]
    for px in (-2.0, 2.0):
        for py in (-0.6, 0.72):
            parts.append(tube((px, py, 0.0), (px, py, 2.4), 0.04, steel, sides=6))
    parts.append(tube((2.9, -0.9, 0.0), (2.9, -0.9, 2.7), 0.035, steel, sides=6))
    parts.append(box((2.88, -1.15, 2.2), (2.92, -0.65, 2.7), material("sign"), (0.03, 0.2, 0.08)))
    away = 1.9 * np.array([np.sin(heading), -np.cos(heading)])
    # Right of the traffic is away from the road.
    return merged(parts).moved((x + away[0], y + away[1], KERB_HEIGHT), heading + np.pi)


def _furniture(
    rng: np.random.Generator, what: str, x: float, y: float, heading: float, planting: Planting, season: ndarray
) -> Mesh:
    if what == "tree":
        return tree(rng, x, y, KERB_HEIGHT, rng.uniform(*planting.tree_height), season)
    if what == "conifer":
        return conifer(rng, x, y, KERB_HEIGHT, 0.8 * rng.uniform(*planting.tree_height))
    if what == "planter":
        return planter(x, y, KERB_HEIGHT, rng)
    return _BUILDERS[what](rng).moved((x, y, KERB_HEIGHT), heading)


def _lamp(x: float, y: float, outwards: ndarray, planting: Planting) -> tuple[Mesh, ndarray]:
    steel, height = material("steel"), planting.lamp_height
    tip = np.array([x, y]) + planting.lamp_arm * outwards
    parts = [
        tube((x, y, 0), (x, y, 1.0), 0.11, steel),
        tube((x, y, 1.0), (x, y, height), (0.075, 0.05), steel),
        box(
            (tip[0] - 0.26, tip[1] - 0.2, height + 0.1), (tip[0] + 0.26, tip[1] + 0.2, height + 0.22), material("trim")
        ),
        box(
            (tip[0] - 0.22, tip[1] - 0.16, height + 0.05),
            (tip[0] + 0.22, tip[1] + 0.16, height + 0.11),
            material("lamp"),
        ),
    ]
    if planting.lamp_arm:
        parts.append(tube((x, y, height - 0.1), (*tip, height + 0.12), 0.045, steel, sides=6))
    return merged(parts), np.array([*tip, height])


def _sign(rng: np.random.Generator) -> Mesh:
    color = ((0.03, 0.09, 0.33), (0.45, 0.03, 0.03), (0.55, 0.4, 0.03), (0.03, 0.2, 0.09))[rng.integers(4)]
    half, size = 0.5 * rng.uniform(0.4, 0.9), rng.uniform(0.4, 0.8)
    plate = box((-0.03, -half, 2.1), (0.03, half, 2.1 + size), material("sign"), color)
    return merged([tube((0, 0, 0), (0, 0, 2.15 + size), 0.035, material("steel"), sides=6), plate])


def _bench(rng: np.random.Generator) -> Mesh:
    wood, stone = material("wood"), material("stone")
    parts = [box((-0.8, -0.2, 0.4), (0.8, 0.22, 0.46), wood), box((-0.8, 0.2, 0.46), (0.8, 0.25, 0.85), wood)]
    parts += [box((x - 0.05, -0.18, 0.0), (x + 0.05, 0.22, 0.4), stone) for x in (-0.6, 0.6)]
    return merged(parts)


def _bollards(rng: np.random.Generator) -> Mesh:
    height = rng.uniform(0.7, 1.05)
    steel, white = material("steel"), material("reflector")
    parts = []
    for x in (-1.5, 0.0, 1.5):
        parts += [
            tube((x, 0, 0), (x, 0, height), 0.07, steel),
            tube((x, 0, 0.8 * height), (x, 0, 0.88 * height), 0.075, white),
        ]
    return merged(parts)


def _bin(rng: np.random.Generator) -> Mesh:
    color = ((0.05, 0.12, 0.06), (0.1, 0.1, 0.11), (0.3, 0.2, 0.03))[rng.integers(3)]
    return box((-0.25, -0.22, 0.0), (0.25, 0.22, 0.95), material("steel"), color)


_BUILDERS = {"sign": _sign, "bench": _bench, "bollards": _bollards, "bin": _bin}
