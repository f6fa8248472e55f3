"""This module builds what never moves: roads with their markings, blocks with what is on them, bridges, hills."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import shapely
from jaxtyping import Float
from numpy import ndarray

from synthetic_nuscenes.geometry.materials import material
from synthetic_nuscenes.geometry.mesh import Mesh, flat, merged

from .bridges import bridge_mesh
from .greenery import hills
from .kerbside import along_kerb, draw_planting, shelter
from .markings import markings
from .town import Town
from .town_blocks import Surroundings, inside, pavement

_DETAIL_RANGE, _VIEW_RANGE = 85.0, 280.0


@dataclass(frozen=True)
class KeepOut:
    """A `KeepOut` is a circle that lamps and trees stay out of."""

    x: float
    y: float
    radius: float


class Scenery(NamedTuple):
    """`Scenery` is the static world."""

    mesh: Mesh
    lamps: ndarray
    """`[n, 3]` places of the heads of street lamps (m)."""


def build_scenery(town: Town, rng: np.random.Generator, keep_out: list[KeepOut], way: Float[ndarray, "n 2"]) -> Scenery:
    """Build the static world.

    Args:
        keep_out: where lamps and trees do not stand.
        way: places that the ego car passes (m); what is far from all of them is plain.
    """
    line = shapely.LineString(way) if len(np.unique(way, axis=0)) > 1 else shapely.Point(way[0])
    detail, view = line.buffer(_DETAIL_RANGE), line.buffer(_VIEW_RANGE)
    for geometry in (detail, view):
        shapely.prepare(geometry)
    around = Surroundings(town.style, detail, view, _taken(town, keep_out), _season(rng))
    shapely.prepare(around.taken)
    x, y = town.size
    outline = np.array([[-30.0, -30.0], [x + 30, -30.0], [x + 30, y + 30], [-30.0, y + 30]])
    parts = [flat(outline, 0.0, material("asphalt")), hills(rng, town.size), *markings(town, rng)]
    plantings = [draw_planting(rng) for _ in range(2)]
    lamps = [np.zeros((0, 3))]
    for block in town.blocks:
        # A generator of its own, so that a block looks the same wherever the car is.
        own = rng.spawn(1)[0]
        planting = plantings[int(own.integers(2))]
        if not block.outline.intersects(view):
            continue
        parts += pavement(block) + inside(block, own, around)
        if block.kind != "island" and block.outline.intersects(detail):
            meshes, heads = along_kerb(own, block, planting, around.season, detail, around.taken)
            parts += meshes
            lamps.append(np.array(heads).reshape(-1, 3))
    parts += [bridge_mesh(bridge) for bridge in town.bridges]
    for stop in town.stops:
        if detail.contains(shapely.Point(stop[:2])):
            parts.append(shelter(*stop))
    return Scenery(merged(parts), np.concatenate(lamps))


def _season(rng: np.random.Generator) -> ndarray:
    """Draw factors that tint leaves: fresh green, dry, autumn."""
    if rng.random() < 0.25:
        return np.array([rng.uniform(1.6, 2.8), rng.uniform(0.7, 0.95), rng.uniform(0.5, 0.9)])
    return np.array([rng.uniform(0.85, 1.35), rng.uniform(0.9, 1.05), rng.uniform(0.8, 1.1)])


def _taken(town: Town, keep_out: list[KeepOut]) -> shapely.Geometry:
    """Return where nothing of the scenery may stand."""
    areas = [town.reserved.buffer(1.0)]
    areas += [
        shapely.LineString(c.path.points[[0, -1]]).buffer(c.width / 2 + 3.0, cap_style="square") for c in town.crossings
    ]
    areas += [lot.entry.buffer(1.5) for lot in town.lots]
    areas += [shapely.Point(k.x, k.y).buffer(k.radius) for k in keep_out]
    areas += [shapely.Point(x, y).buffer(5.0) for x, y, _ in town.stops]
    return shapely.union_all(areas)
