"""This module defines towns: networks of roads, and the blocks, lots, crossings and bridges between and over them."""

from dataclasses import dataclass
from functools import cached_property

import shapely
from jaxtyping import Float
from numpy import ndarray
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from synthetic_nuscenes.geometry.paths import Path, sampled

from .lots import Lot
from .network import Network

KERB_HEIGHT = 0.15


@dataclass(frozen=True)
class Block:
    """A `Block` is the ground inside one kerb, pavement included, `KERB_HEIGHT` above the road."""

    outline: Polygon
    """The kerb."""
    kind: str
    """What the block holds: `houses`, `park`, `plaza`, `green` (trees and grass) or `island` (between lanes)."""
    pavement: float
    """Width of the pavement along the kerb (m)."""

    def behind_pavement(self, inset: float = 0.0) -> BaseGeometry:
        """Return the ground behind the pavement, and `inset` metres behind its edge."""
        return self.outline.buffer(-self.pavement - inset)

    def walk(self, inset: float) -> Path | None:
        """Return the counter-clockwise walk around the block `inset` metres from the kerb, None if there is no room."""
        inner = largest(self.outline.buffer(-inset - 1.5).buffer(1.5))
        if inner is None or inner.exterior.length < 8:
            return None
        return sampled(ring_of(inner), closed=True)


@dataclass(frozen=True)
class Crossing:
    """A `Crossing` is a zebra crossing."""

    path: Path
    """Straight walk over the road, from kerb to kerb."""
    width: float
    """Extent along the road (m)."""
    road: int
    along: float
    """Distance (m) of its middle along the stretch of the road between its junctions."""


@dataclass(frozen=True)
class Bridge:
    """A `Bridge` crosses over a road."""

    start: tuple[float, float]
    end: tuple[float, float]
    """The ends of the deck's middle line (m)."""
    width: float
    height: float
    """Height of the underside of the deck over the road (m)."""
    kind: str
    """`railway` or `footbridge`."""

    @property
    def ground(self) -> BaseGeometry:
        """What it covers, with its abutments."""
        return shapely.LineString([self.start, self.end]).buffer(self.width / 2 + 0.5, cap_style="flat")


@dataclass(frozen=True)
class Town:
    """A `Town` is all that is planned on the ground; coordinates are positive metres, as on nuScenes' maps."""

    style: str
    """Key of `town_drawing.STYLES`."""
    network: Network
    drivable: BaseGeometry
    """Roads and lots."""
    blocks: tuple[Block, ...]
    lots: tuple[Lot, ...]
    crossings: tuple[Crossing, ...]
    bridges: tuple[Bridge, ...]
    stops: tuple[tuple[float, float, float], ...]
    """Bus stops: x and y at the kerb (m), heading of the traffic (rad)."""
    size: tuple[float, float]
    """Extent of the town in x and y (m)."""

    @cached_property
    def house_grounds(self) -> list[BaseGeometry]:
        """The grounds behind pavements on which houses stand, a geometry for each block."""
        return [block.behind_pavement() for block in self.blocks if block.kind == "houses"]

    @cached_property
    def reserved(self) -> BaseGeometry:
        """Where no house, tree or lamp may stand: under bridges."""
        return shapely.union_all([bridge.ground for bridge in self.bridges])


def polygons(geometry: BaseGeometry) -> list[Polygon]:
    """Return the polygons that a geometry consists of."""
    parts = shapely.get_parts(geometry)
    return [part for part in parts if isinstance(part, Polygon) and not part.is_empty]


def largest(geometry: BaseGeometry) -> Polygon | None:
    """Return the largest polygon of a geometry, None if there is none."""
    return max(polygons(geometry), key=lambda part: part.area, default=None)


def ring_of(polygon: Polygon) -> Float[ndarray, "n 2"]:
    """Return the outer ring of a polygon, counter-clockwise, without the repeated last point."""
    return shapely.get_coordinates(shapely.geometry.polygon.orient(polygon).exterior)[:-1]
