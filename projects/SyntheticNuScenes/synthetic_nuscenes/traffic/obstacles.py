"""This module says where scenery stands that people and vehicles keep away from: shelters and ends of bridges."""

from collections.abc import Iterable

import numpy as np
import shapely
from numpy import ndarray

from synthetic_nuscenes.town.scenery import KeepOut
from synthetic_nuscenes.town.town import Town

from .occupancy import Footprint

SHELTER_WALL = 2.62
"""Distance (m) of the back wall of a bus shelter from the kerb; see `kerbside.shelter`."""
_SHELTER_HALF = 2.1
_BRIDGE_END = 5.5
_WALL_MARGIN = 0.4


def obstacles(town: Town) -> list[Footprint]:
    """Return the footprints of bus shelters and of the walls that bridges stand on."""
    found = []
    for x, y, heading in town.stops:
        along, away = np.array([np.cos(heading), np.sin(heading)]), np.array([np.sin(heading), -np.cos(heading)])
        back = [(a, SHELTER_WALL) for a in np.linspace(-_SHELTER_HALF, _SHELTER_HALF, 15)]
        side = [(_SHELTER_HALF, b) for b in np.linspace(1.6, SHELTER_WALL, 4)]
        wall = np.array([x, y]) + np.array([a * along + b * away for a, b in back + side])
        found.append(_covered(wall, 0.15))
    for bridge in town.bridges:
        ends = np.array([bridge.start, bridge.end])
        length = float(np.hypot(*(ends[1] - ends[0])))
        forward = (ends[1] - ends[0]) / length
        left = np.array([-forward[1], forward[0]])
        across = np.linspace(-bridge.width / 2, bridge.width / 2, max(round(bridge.width), 2))
        # Stairs of footbridges go on behind the end of the deck.
        behind = 2.5 if bridge.kind == "footbridge" else 0.0
        for start, stop in ((-behind, _BRIDGE_END), (length - _BRIDGE_END, length + behind)):
            along = np.linspace(start, stop, 7)
            wall = ends[0] + along[:, None, None] * forward + across[None, :, None] * left
            found.append(_covered(wall.reshape(-1, 2), 0.7))
    return found


def _covered(points: ndarray, radius: float) -> Footprint:
    """Return a resting footprint of discs of a radius (m) around points `[n, 2]`."""
    middle = points.mean(axis=0)
    reach = float(np.hypot(*(points - middle).T).max()) + radius
    return Footprint(points[None], radius, middle[None], reach)


def clearings(town: Town, circles: Iterable[tuple[float, float, float]]) -> list[KeepOut]:
    """Return circles for scenery to stay out of, from x, y and radius in metres.

    Those that touch the grounds of houses move away from them, or shrink: what houses stand hangs on nobody who walks.
    """
    grounds = town.house_grounds
    wanted = np.array(list(circles)).reshape(-1, 3)
    radius = wanted[:, 2]
    if grounds and len(wanted):
        tree, points = shapely.STRtree(grounds), shapely.points(wanted[:, :2])
        lines = shapely.shortest_line(np.array(grounds)[tree.nearest(points)], points)
        ends = shapely.get_coordinates(lines).reshape(-1, 2, 2)
        away = shapely.length(lines)
        # As far as the circle still holds most of what it is drawn around.
        back = np.clip(radius + _WALL_MARGIN - away, 0.0, 0.7 * radius) / np.maximum(away, 1e-6)
        wanted[:, :2] += (back * (away > 0.1))[:, None] * (ends[:, 1] - ends[:, 0])
        moved = shapely.points(wanted[:, :2])
        nearest = np.array(grounds)[tree.nearest(moved)]
        radius = np.minimum(radius, shapely.distance(moved, nearest) - _WALL_MARGIN)
    return [KeepOut(float(x), float(y), float(r)) for (x, y, _), r in zip(wanted, radius) if r > 0.1]
