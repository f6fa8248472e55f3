"""This module draws lots inside blocks: car parks with marked stalls, and yards where heavy vehicles stand."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy import ndarray
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

CAR_PARK, YARD = "car park", "yard"
STALL = {CAR_PARK: (5.1, 2.55), YARD: (15.0, 4.2)}
"""Length and width of a stall (m) of each kind of lot."""
_AISLE = {CAR_PARK: 6.2, YARD: 10.0}
_KERB_DISTANCE = 5.5


@dataclass(frozen=True)
class Lot:
    """A `Lot` is paved ground in a block, at the height of the road, that vehicles stand on."""

    kind: str
    """`CAR_PARK` or `YARD`."""
    outline: Polygon
    entry: Polygon
    """Ground that joins the lot with the road."""
    stalls: ndarray
    """`[n, 3]` x, y (m) of the middle of each stall, and the heading (rad) of who drove in forwards."""


def draw_lot(rng: np.random.Generator, kind: str, ground: BaseGeometry, roads: BaseGeometry) -> Lot | None:
    """Draw a lot in a block.

    Args:
        kind: `CAR_PARK` or `YARD`.
        ground: what is free of the block.
        roads: the ground that the entry leads to.

    Returns:
        the lot, None where none of twenty draws finds room.
    """
    inner = ground.buffer(-_KERB_DISTANCE)
    if inner.is_empty:
        return None
    x0, y0, x1, y1 = inner.bounds
    for _ in range(20):
        size = rng.uniform((22, 18), (62, 45)) if kind == CAR_PARK else rng.uniform((30, 26), (70, 50))
        middle = np.array([rng.uniform(x0, x1), rng.uniform(y0, y1)])
        yaw = _edge_heading(ground, middle) + rng.choice([0.0, np.pi / 2])
        corners = _rectangle(middle, yaw, size)
        outline = Polygon(corners)
        if not inner.contains(outline):
            continue
        # A lot lies parallel to an edge, so places of its own edge tie; the last bit of a number must not choose.
        starts = shapely.points(_rectangle(middle, yaw, size - 7.0))
        nearest = shapely.shortest_line(starts[int(np.round(shapely.distance(starts, roads), 3).argmin())], roads)
        entry = nearest.buffer(float(rng.uniform(2.8, 4.0)), cap_style="square")
        if nearest.length > 30 or not shapely.union_all([ground, roads]).buffer(0.5).contains(entry):
            continue
        return Lot(kind, outline, entry, _stalls(rng, kind, middle, yaw, size, entry))
    return None


def _stalls(rng: np.random.Generator, kind: str, middle: ndarray, yaw: float, size: ndarray, entry: Polygon) -> ndarray:
    """Return stalls in double rows with aisles between them; the entry is kept free."""
    length, width = STALL[kind]
    slant = float(rng.choice([0.0, 0.0, 0.35])) if kind == CAR_PARK else 0.0
    # What a slanted stall takes across and along its row.
    reach, step = length * np.cos(slant) + width * np.sin(slant), width / np.cos(slant) + 0.02
    row, rows = -size[1] / 2 + reach / 2 + 0.3, []
    while row + reach / 2 < size[1] / 2:
        rows.append((row, 1.0 if len(rows) % 2 else -1.0))
        # Two rows nose to nose, then an aisle.
        row += reach + (0.2 if len(rows) % 2 == 0 else _AISLE[kind])
    margin = 0.5 * (length * np.sin(slant) + width * np.cos(slant)) + 0.1
    found = []
    forward, left = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
    for across, side in rows:
        for along in np.arange(-size[0] / 2 + margin, size[0] / 2 - margin + 0.1, step):
            place = middle + along * forward + across * left
            heading = yaw + side * (np.pi / 2 - slant)
            if not entry.buffer(1.0).intersects(Polygon(_rectangle(place, heading, np.array([length, width])))):
                found.append((*place, heading))
    return np.array(found).reshape(-1, 3)


def _rectangle(middle: ndarray, yaw: float, size: ndarray) -> ndarray:
    forward, left = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2
    return middle + signs[:, :1] * size[0] * forward + signs[:, 1:] * size[1] * left


def _edge_heading(ground: BaseGeometry, place: ndarray) -> float:
    """Return the heading (rad) of the edge of the ground that is nearest to a place."""
    edge = ground.boundary
    at = shapely.line_locate_point(shapely.line_merge(edge), shapely.Point(place))
    line = shapely.get_parts(shapely.line_merge(edge))[0]
    ends = [shapely.get_coordinates(shapely.line_interpolate_point(line, at + shift))[0] for shift in (-2.0, 2.0)]
    across = ends[1] - ends[0]
    return float(np.arctan2(across[1], across[0]))
