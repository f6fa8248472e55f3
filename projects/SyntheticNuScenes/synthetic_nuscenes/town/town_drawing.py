"""This module draws towns of four kinds."""

from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from synthetic_nuscenes.geometry.paths import sampled
from synthetic_nuscenes.mixes import pick

from .lots import CAR_PARK, YARD, Lot, draw_lot
from .network import Network
from .network_drawing import NetworkStyle, draw_network
from .roads import BACKWARD, FORWARD, Road
from .town import Block, Bridge, Crossing, Town, polygons

_EXIT_LENGTH = 600.0
_SMALLEST_BLOCK = 12.0
_PRECISION = 1e-3


@dataclass(frozen=True)
class TownStyle:
    """A `TownStyle` says how a kind of town is drawn."""

    network: NetworkStyle
    blocks: tuple[tuple[str, float], ...]
    """Kinds of blocks with their shares."""
    pavement: tuple[float, float]
    """Range of the widths of pavements (m)."""
    lots: tuple[float, float]
    """Mean numbers of car parks and of yards in a block."""
    corner: tuple[float, float]
    """Range of the radii of kerbs at corners (m)."""


STYLES = {
    "old town": TownStyle(
        NetworkStyle((72, 100), 1.0, (("lane", 1.2), ("street", 3.0)), 0.28, 0.08),
        (("houses", 0.76), ("park", 0.1), ("plaza", 0.14)),
        (1.6, 3.4),
        (0.2, 0.04),
        (3.0, 6.0),
    ),
    "suburb": TownStyle(
        NetworkStyle((85, 120), 0.8, (("street", 3.0), ("lane", 1.0)), 0.35, 0.25),
        (("houses", 0.72), ("park", 0.16), ("green", 0.12)),
        (1.8, 3.0),
        (0.25, 0.08),
        (4.0, 8.0),
    ),
    "centre": TownStyle(
        NetworkStyle((85, 130), 0.15, (("street", 2.0), ("avenue", 2.0), ("arterial", 1.0)), 0.08, 0.15),
        (("houses", 0.74), ("park", 0.1), ("plaza", 0.16)),
        (3.0, 6.0),
        (0.4, 0.05),
        (4.0, 8.0),
    ),
    "industrial": TownStyle(
        NetworkStyle(
            (105, 145), 0.35, (("yard road", 2.0), ("street", 1.0), ("avenue", 0.7), ("arterial", 0.5)), 0.3, 0.3
        ),
        (("houses", 0.68), ("green", 0.3), ("plaza", 0.02)),
        (1.5, 3.0),
        (0.6, 0.9),
        (6.0, 11.0),
    ),
}
"""How the four kinds of towns are drawn."""


def lay_out_town(rng: np.random.Generator, style: str | None = None) -> Town:
    """Draw a town.

    Args:
        style: key of `STYLES`; drawn where it is None.
    """
    name = str(rng.choice(list(STYLES))) if style is None else style
    chosen = STYLES[name]
    network = draw_network(rng, chosen.network)
    corners = np.array([(j.x, j.y) for j in network.junctions])
    size = (float(corners[:, 0].max() + 70), float(corners[:, 1].max() + 70))
    bounds = shapely.box(0, 0, *size)
    corner = float(rng.uniform(*chosen.corner))
    roads = shapely.union_all([_surface(network, road) for road in network.roads] + _middles(network))
    # Whole millimetres, so that another kind of CPU, whose last bits differ, draws the same town.
    roads = shapely.set_precision(roads.buffer(corner, quad_segs=6).buffer(-corner, quad_segs=6), _PRECISION)
    bridges = _draw_bridges(rng, network)
    free = bounds.difference(shapely.union_all([roads, *(bridge.ground.buffer(3.0) for bridge in bridges)]))
    lots = _draw_lots(rng, chosen, polygons(free), roads)
    drivable = shapely.union_all([roads, *(lot.outline for lot in lots), *(lot.entry for lot in lots)])
    drivable = drivable.intersection(bounds)
    slivers = [part for part in polygons(bounds.difference(drivable)) if part.area < _SMALLEST_BLOCK]
    drivable = shapely.set_precision(shapely.union_all([drivable, *slivers]), _PRECISION)
    islands = _islands(network)
    blocks = _draw_blocks(rng, chosen, polygons(bounds.difference(drivable)), islands)
    return Town(
        name,
        network,
        drivable.difference(shapely.union_all(islands)) if islands else drivable,
        tuple(blocks),
        tuple(lots),
        tuple(_draw_crossings(rng, network, drivable)),
        tuple(bridges),
        tuple(_draw_stops(rng, network, drivable)),
        size,
    )


def _surface(network: Network, road: Road) -> BaseGeometry:
    """Return the ground between the kerbs of a road; at exits it goes on to the edge of the town and beyond."""
    center = road.center
    points = center.points
    for end, kind in enumerate(network.junctions[number].kind for number in road.ends):
        if kind == "exit":
            x, y, heading = center.at(np.array([0.0 if end == 0 else center.length]))[0]
            ahead = _EXIT_LENGTH * np.array([np.cos(heading), np.sin(heading)]) * (-1 if end == 0 else 1)
            away = np.array([[x + ahead[0], y + ahead[1]]])
            points = np.concatenate([away, points] if end == 0 else [points, away])
    line = shapely.LineString(points).simplify(0.02)
    # Buffers of one side each, because the two kerbs may lie at different distances.
    sides = [
        line.buffer(sign * road.section.half_width(direction), single_sided=True)
        for direction, sign in ((FORWARD, -1), (BACKWARD, 1))
    ]
    return shapely.union_all(sides)


def _middles(network: Network) -> list[BaseGeometry]:
    """Return discs in the middle of roundabouts and bends, which close the gaps between the roads there."""
    discs = []
    for number, junction in enumerate(network.junctions):
        ends = [road for road in network.roads if number in road.ends]
        radius = junction.island + junction.ring
        if junction.kind == "bend":
            radius = min(road.section.half_width(d) for road in ends for d in (FORWARD, BACKWARD))
        if radius:
            discs.append(shapely.Point(junction.x, junction.y).buffer(radius, quad_segs=16))
    return discs


def _islands(network: Network) -> list[Polygon]:
    """Return the islands inside roundabouts and between the directions of arterials."""
    found = [
        shapely.Point(junction.x, junction.y).buffer(junction.island, quad_segs=12)
        for junction in network.junctions
        if junction.island
    ]
    for road in network.roads:
        if road.section.median and road.between.length > 30:
            middle = shapely.LineString(road.between.part(6.0, road.between.length - 6.0).points)
            found += polygons(middle.simplify(0.02).buffer(road.section.median / 2 - 0.25, quad_segs=4))
    return found


def _draw_blocks(
    rng: np.random.Generator, style: TownStyle, grounds: list[Polygon], islands: list[Polygon]
) -> list[Block]:
    blocks = []
    for ground in sorted(grounds, key=lambda g: g.bounds):
        kind = pick(rng, style.blocks)
        pavement = float(rng.uniform(*style.pavement))
        if ground.buffer(-pavement - 4.0).is_empty:
            kind = "island"
        blocks.append(Block(ground.simplify(0.02), kind, pavement))
    return blocks + [Block(island, "island", 0.6) for island in islands]


def _draw_lots(rng: np.random.Generator, style: TownStyle, grounds: list[Polygon], roads: BaseGeometry) -> list[Lot]:
    """Draw car parks and yards in blocks that have room for them."""
    lots: list[Lot] = []
    for ground in sorted(grounds, key=lambda g: g.bounds):
        for kind, mean in zip((CAR_PARK, YARD), style.lots):
            for _ in range(rng.poisson(mean) if ground.area > 1500 else 0):
                taken = [lot.outline.buffer(3.0) for lot in lots]
                lot = draw_lot(rng, kind, ground.difference(shapely.union_all(taken)), roads)
                if lot is not None:
                    lots.append(lot)
    return lots


def _draw_crossings(rng: np.random.Generator, network: Network, drivable: BaseGeometry) -> list[Crossing]:
    """Draw zebra crossings at the ends of roads, and a few in their middle; each reaches from kerb to kerb."""
    share = rng.uniform(0.3, 0.9)
    crossings = []
    for number, road in enumerate(network.roads):
        length, width = road.between.length, float(rng.uniform(2.6, 4.2))
        places = [1.2 + width / 2, length - 1.2 - width / 2, length * rng.uniform(0.35, 0.65)]
        allowed = [network.junctions[n].kind in ("crossing", "roundabout") for n in road.ends] + [length > 60]
        for along, possible, p in zip(places, allowed, (share, share, 0.25 * share)):
            if rng.random() < p and possible and length > 20:
                x, y, heading = road.between.at(np.array([along]))[0]
                right = np.array([np.sin(heading), -np.cos(heading)])
                ends = np.array([road.section.half_width(FORWARD) + 4, -road.section.half_width(BACKWARD) - 4])
                line = shapely.LineString(np.array([x, y]) + ends[:, None] * right).intersection(drivable)
                middle = shapely.Point(x, y).buffer(0.5)
                # Rounded corners make the road wider at its ends.
                walk = next((part for part in shapely.get_parts(line) if part.intersects(middle)), None)
                if walk is not None and walk.length < np.ptp(ends) - 1:
                    crossings.append(Crossing(sampled(shapely.get_coordinates(walk)), width, number, float(along)))
    return crossings


def _draw_bridges(rng: np.random.Generator, network: Network) -> list[Bridge]:
    """Draw up to four bridges over the middle of roads."""
    bridges = []
    long = [road for road in network.roads if road.between.length > 55]
    for k in rng.permutation(len(long))[: rng.integers(0, 5)]:
        road = long[k]
        x, y, heading = road.between.at(np.array([road.between.length * rng.uniform(0.4, 0.6)]))[0]
        across = heading + np.pi / 2 + rng.uniform(-0.25, 0.25)
        reach = max(road.section.half_width(d) for d in (FORWARD, BACKWARD)) + rng.uniform(9, 14)
        half = reach * np.array([np.cos(across), np.sin(across)])
        kind = str(rng.choice(["railway", "footbridge"]))
        width = rng.uniform(5.0, 9.5) if kind == "railway" else rng.uniform(2.2, 3.5)
        ends = [(float(x + sign * half[0]), float(y + sign * half[1])) for sign in (-1, 1)]
        bridges.append(Bridge(*ends, float(width), float(rng.uniform(4.6, 5.6)), kind))
    return bridges


def _draw_stops(rng: np.random.Generator, network: Network, drivable: BaseGeometry) -> list[tuple[float, float, float]]:
    """Draw bus stops where there is pavement behind the kerb."""
    stops = []
    for kerb in network.kerbs:
        if kerb.path.length > 45 and rng.random() < 0.15:
            along = rng.uniform(18, kerb.path.length - 18)
            behind = shapely.points([kerb.place(along + shift, -1.9)[:2] for shift in (-3.0, 0.0, 3.0)])
            if not shapely.intersects(drivable, behind).any():
                stops.append(kerb.place(along, 0.0))
    return stops
