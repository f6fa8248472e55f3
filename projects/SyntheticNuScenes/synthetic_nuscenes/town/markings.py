"""This module paints what is marked on roads and lots: lane lines, zebra crossings, stop lines, cycle lanes, stalls."""

import numpy as np

from synthetic_nuscenes.geometry.mesh import Mesh
from synthetic_nuscenes.geometry.surfaces import Paint

from .lots import CAR_PARK, STALL
from .roads import BACKWARD, FORWARD, Road
from .town import Town

WHITE, YELLOW = (0.62, 0.62, 0.6), (0.62, 0.42, 0.04)
_CYCLE_COLORS = ((0.26, 0.07, 0.05), (0.06, 0.17, 0.09), (0.06, 0.1, 0.2))
_BEFORE_CROSSING = 1.0


def markings(town: Town, rng: np.random.Generator) -> list[Mesh]:
    """Build all paint; its colours and the kinds of its lines are drawn once for the town."""
    paint, ground = Paint(), Paint()
    middle = YELLOW if rng.random() < 0.5 else WHITE
    solid, edges, ticks = rng.random() < 0.5, rng.random() < 0.6, rng.random() < 0.6
    cycle = _CYCLE_COLORS[rng.integers(3)]
    for number, road in enumerate(town.network.roads):
        ends = _free_ends(town, number, road)
        _middle_line(paint, road, ends, middle, solid and road.section.name != "lane")
        for direction in (FORWARD, BACKWARD):
            _side(paint, ground, road, direction, ends, cycle, edges, ticks)
        _stop_lines(paint, town, road, ends)
    for crossing in town.crossings:
        path = crossing.path
        heading = path.headings[0]
        along = 0.5 * crossing.width * np.array([-np.sin(heading), np.cos(heading)])
        for at in np.arange(0.9, path.length - 0.8, 1.1):
            point = path.at(np.array([at]))[0, :2]
            paint.bar(point - along, point + along, 0.5, WHITE)
    for lot in town.lots:
        if lot.kind == CAR_PARK:
            _stall_lines(paint, lot.stalls)
    # Coloured lanes lie under the lines.
    return ground.mesh(0.002) + paint.mesh()


def _free_ends(town: Town, number: int, road: Road) -> tuple[float, float]:
    """Return where (m) between its junctions the lines of a road begin and end: they stop before crossings."""
    length = road.between.length
    start, stop = 0.5, length - 0.5
    for crossing in town.crossings:
        if crossing.road == number:
            reach = crossing.width / 2 + _BEFORE_CROSSING
            if crossing.along < 8:
                start = crossing.along + reach
            elif crossing.along > length - 8:
                stop = crossing.along - reach
    return start, stop


def _middle_line(
    paint: Paint, road: Road, ends: tuple[float, float], color: tuple[float, float, float], solid: bool
) -> None:
    path = road.between
    if road.section.median:
        return
    if solid:
        for offset in (-0.14, 0.14):
            paint.ribbon(path, *ends, offset + 0.06, offset - 0.06, color)
    else:
        paint.dashes(path, *ends, 0.0, color, 3.0, 4.5)


def _side(
    paint: Paint,
    ground: Paint,
    road: Road,
    direction: int,
    ends: tuple[float, float],
    cycle: tuple[float, float, float],
    edges: bool,
    ticks: bool,
) -> None:
    """Paint the lane lines, the cycle lane and the parking places of one direction."""
    section, path = road.section, road.between
    side = -1 if direction == FORWARD else 1
    for lane in range(1, section.lanes):
        paint.dashes(path, *ends, side * (section.median / 2 + lane * section.lane_width), WHITE, 3.0, 6.0)
    edge = side * section.lanes_width
    if section.cycle_lane:
        outer = side * (section.lanes_width + section.cycle_lane)
        ground.ribbon(path, *ends, max(edge, outer), min(edge, outer), cycle)
        for line in (edge, outer):
            paint.ribbon(path, *ends, line + 0.06, line - 0.06, WHITE)
    elif edges and section.name != "lane":
        inset = edge - side * 0.1
        paint.ribbon(path, *ends, inset + 0.05, inset - 0.05, WHITE)
    width = section.parking_width(direction)
    if width and ticks and path.length > 30:
        near = side * (section.lanes_width + section.cycle_lane)
        far = near + side * (width - 0.2)
        for at in np.arange(ends[0] + 4, ends[1] - 4, 6.2):
            paint.ribbon(path, at - 0.05, at + 0.05, max(near, far), min(near, far), WHITE)


def _stop_lines(paint: Paint, town: Town, road: Road, ends: tuple[float, float]) -> None:
    section, path = road.section, road.between
    for direction, along in ((FORWARD, ends[1]), (BACKWARD, ends[0])):
        kind = town.network.junctions[road.end(direction)].kind
        if kind not in ("crossing", "roundabout"):
            continue
        side = -1 if direction == FORWARD else 1
        inner, outer = side * (section.median / 2 + 0.2), side * section.lanes_width
        if kind == "crossing":
            paint.ribbon(path, along - 0.2, along + 0.2, max(inner, outer), min(inner, outer), WHITE)
        else:
            # Giving way is asked for by short bars.
            for offset in np.arange(abs(inner) + 0.2, abs(outer) - 0.3, 0.9):
                low, high = sorted((side * offset, side * (offset + 0.5)))
                paint.ribbon(path, along - 0.2, along + 0.2, high, low, WHITE)


def _stall_lines(paint: Paint, stalls: np.ndarray) -> None:
    length, width = STALL[CAR_PARK]
    for x, y, heading in stalls:
        forward = 0.5 * length * np.array([np.cos(heading), np.sin(heading)])
        side = 0.5 * width * np.array([-np.sin(heading), np.cos(heading)])
        for edge in (-side, side):
            paint.bar(np.array([x, y]) + edge - forward, np.array([x, y]) + edge + forward, 0.1, WHITE)
