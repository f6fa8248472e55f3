"""This module says what lies where in a town, and whether a thing can stand there at the height that it was given."""

import numpy as np
import shapely
from jaxtyping import Bool, Float
from numpy import ndarray
from shapely.geometry.base import BaseGeometry

from synthetic_nuscenes.geometry.paths import Still
from synthetic_nuscenes.town.town import KERB_HEIGHT, Town

_BODY, _WALL = 0.4, 0.55
"""Distances (m) that the middle of a person keeps from kerbs and from the grounds of houses."""
_STRIDE = 0.12
"""How far (m) from a kerb somebody may be while stepping on it."""
_OVERHANG = 0.6
"""How far (m) behind a kerb the middle of a vehicle may be that stands with two wheels on the road."""


class Grounds:
    """`Grounds` know where kerbs raise the ground of a town, and where houses stand."""

    def __init__(self, town: Town) -> None:
        raised = shapely.union_all([block.outline for block in town.blocks])
        houses = shapely.union_all(town.house_grounds)
        self._raised, self._houses = raised, houses
        self._near_houses = houses.buffer(_WALL)
        self._for_people = raised.buffer(-_BODY).difference(self._near_houses)
        self._near_raised = raised.buffer(_BODY)
        self._stepping = raised.buffer(-_STRIDE), raised.buffer(_STRIDE)
        self._deep = raised.buffer(-_OVERHANG)
        for geometry in (
            raised,
            houses,
            self._near_houses,
            self._for_people,
            self._near_raised,
            *self._stepping,
            self._deep,
        ):
            shapely.prepare(geometry)

    def raised(self, places: Float[ndarray, "n 2"]) -> Bool[ndarray, " n"]:
        """Return which places (m) lie inside kerbs."""
        return _inside(self._raised, places)

    def height(self, corners: Float[ndarray, "n 2"]) -> float:
        """Return the height (m) of the ground under something with these corners: that of the road under a part."""
        return KERB_HEIGHT if self.raised(corners).all() else 0.0

    def carry_person(self, places: Float[ndarray, "n 2"], heights: Float[ndarray, " n"]) -> bool:
        """Return whether somebody can be at all places (m) at these heights (m) of the ground.

        Who stays on one ground keeps away from kerbs, and everybody from houses.
        """
        up = heights > 0
        if up.all():
            return bool(_inside(self._for_people, places).all())
        if not up.any():
            return not _inside(self._near_raised, places).any()
        inner, outer = self._stepping
        fits = _inside(outer, places[up]).all() and not _inside(inner, places[~up]).any()
        return bool(fits and not _inside(self._near_houses, places).any())

    def carry_thing(self, place: Still, size: Float[ndarray, " 3"], height: float) -> bool:
        """Return whether both ends of a resting thing lie on ground of a height (m), and off the grounds of houses."""
        ends = _ends(place, size)
        up = self.raised(ends)
        return bool(up.all() and not _inside(self._houses, ends).any()) if height > 0 else not up.any()

    def carry_vehicle(self, place: Still, size: Float[ndarray, " 3"], height: float) -> bool:
        """Return whether a resting vehicle has ground of a height (m) under it; on the road two wheels may be off."""
        if height > 0:
            return self.carry_thing(place, size, height)
        return not _inside(self._deep, np.array([[place.x, place.y]])).any()


def corners(place: Still, size: Float[ndarray, " 3"], share: float = 1.0) -> Float[ndarray, "4 2"]:
    """Return the corners (m) of a thing seen from above, or of a `share` of it around its middle."""
    c, s = np.cos(place.yaw), np.sin(place.yaw)
    own = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) * size[:2] * share / 2
    return own @ np.array([[c, s], [-s, c]]) + (place.x, place.y)


def _ends(place: Still, size: Float[ndarray, " 3"]) -> Float[ndarray, "2 2"]:
    """Return two points (m) near the ends of a thing, on its longer axis."""
    yaw = place.yaw + (0.0 if size[0] >= size[1] else np.pi / 2)
    reach = 0.4 * max(size[0], size[1]) * np.array([np.cos(yaw), np.sin(yaw)])
    return np.array([place.x, place.y]) + np.array([[1.0], [-1.0]]) * reach


def _inside(geometry: BaseGeometry, places: Float[ndarray, "n 2"]) -> Bool[ndarray, " n"]:
    return shapely.contains_xy(geometry, places[:, 0], places[:, 1])
