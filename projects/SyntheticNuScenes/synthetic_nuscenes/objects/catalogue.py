"""This module lists the kinds of annotated things: their names in nuScenes, usual sizes, and how they are built."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from synthetic_nuscenes.geometry.mesh import Mesh

from . import heavy_vehicles, street_users, vehicles

SIDE_MARGIN = 0.04
"""Distance (m) by which boxes exceed their objects on each side, like boxes drawn by hand round noisy points."""
GROUND_MARGIN = 0.03
"""Distance (m) of the box from the ground, so that returns from the ground stay outside."""


@dataclass(frozen=True)
class Kind:
    """A `Kind` is one sort of object: its class in nuScenes' detection task, its size and how it is built."""

    detection_name: str
    category: str
    size: tuple[float, float, float]
    """Mean length, width and height (m), close to nuScenes' own."""
    spread: float
    """Standard deviation of the size, as a share of it."""
    build: Callable[[np.random.Generator, ndarray], Mesh]
    """Function that makes the object on the ground z = 0, of about the size that it is given."""
    states: str
    """Group of the attributes that it can have: `vehicle`, `pedestrian`, `cycle`, or an empty string for none."""


def _cycle(build: Callable, rider: bool) -> Callable[[np.random.Generator, ndarray], Mesh]:
    return lambda rng, size: build(rng, size, rider)


_motorcycle, _motorcyclist = (_cycle(street_users.motorcycle, rider) for rider in (False, True))
_bicycle, _cyclist = (_cycle(street_users.bicycle, rider) for rider in (False, True))

KINDS = {
    "car": Kind("car", "vehicle.car", (4.6, 1.93, 1.65), 0.05, vehicles.car, "vehicle"),
    "small car": Kind("car", "vehicle.car", (3.8, 1.72, 1.52), 0.05, vehicles.car, "vehicle"),
    "off-roader": Kind("car", "vehicle.car", (4.9, 2.05, 1.85), 0.05, vehicles.car, "vehicle"),
    "van": Kind("car", "vehicle.car", (5.3, 2.1, 2.15), 0.06, vehicles.car, "vehicle"),
    "truck": Kind("truck", "vehicle.truck", (7.0, 2.5, 2.95), 0.08, vehicles.truck, "vehicle"),
    "light truck": Kind("truck", "vehicle.truck", (5.6, 2.15, 2.35), 0.07, vehicles.truck, "vehicle"),
    "long truck": Kind("truck", "vehicle.truck", (9.6, 2.6, 3.6), 0.08, vehicles.truck, "vehicle"),
    "tractor": Kind("truck", "vehicle.truck", (6.3, 2.55, 3.2), 0.05, vehicles.truck, "vehicle"),
    "bus": Kind("bus", "vehicle.bus.rigid", (11.2, 2.9, 3.4), 0.05, vehicles.bus, "vehicle"),
    "small bus": Kind("bus", "vehicle.bus.rigid", (7.4, 2.35, 2.9), 0.06, vehicles.bus, "vehicle"),
    "trailer": Kind("trailer", "vehicle.trailer", (11.5, 2.75, 3.8), 0.07, heavy_vehicles.trailer, "vehicle"),
    "small trailer": Kind("trailer", "vehicle.trailer", (6.6, 2.4, 3.0), 0.1, heavy_vehicles.trailer, "vehicle"),
    "digger": Kind(
        "construction_vehicle", "vehicle.construction", (6.6, 2.75, 3.1), 0.08, heavy_vehicles.digger, "vehicle"
    ),
    "small digger": Kind(
        "construction_vehicle", "vehicle.construction", (4.4, 2.0, 2.5), 0.08, heavy_vehicles.digger, "vehicle"
    ),
    "large digger": Kind(
        "construction_vehicle", "vehicle.construction", (8.6, 3.1, 3.5), 0.06, heavy_vehicles.digger, "vehicle"
    ),
    "pedestrian": Kind(
        "pedestrian", "human.pedestrian.adult", (0.76, 0.66, 1.75), 0.07, street_users.pedestrian, "pedestrian"
    ),
    "child": Kind(
        "pedestrian", "human.pedestrian.child", (0.52, 0.48, 1.25), 0.09, street_users.pedestrian, "pedestrian"
    ),
    "worker": Kind(
        "pedestrian", "human.pedestrian.construction_worker", (0.76, 0.68, 1.8), 0.04, street_users.worker, "pedestrian"
    ),
    "motorcycle": Kind("motorcycle", "vehicle.motorcycle", (2.1, 0.8, 1.25), 0.06, _motorcycle, "cycle"),
    "scooter": Kind("motorcycle", "vehicle.motorcycle", (1.75, 0.7, 1.15), 0.06, _motorcycle, "cycle"),
    "large motorcycle": Kind("motorcycle", "vehicle.motorcycle", (2.4, 0.95, 1.4), 0.05, _motorcycle, "cycle"),
    "motorcyclist": Kind("motorcycle", "vehicle.motorcycle", (2.1, 0.85, 1.75), 0.06, _motorcyclist, "cycle"),
    "bicycle": Kind("bicycle", "vehicle.bicycle", (1.72, 0.62, 1.1), 0.06, _bicycle, "cycle"),
    "small bicycle": Kind("bicycle", "vehicle.bicycle", (1.35, 0.52, 0.92), 0.07, _bicycle, "cycle"),
    "cyclist": Kind("bicycle", "vehicle.bicycle", (1.75, 0.66, 1.8), 0.05, _cyclist, "cycle"),
    "cone": Kind("traffic_cone", "movable_object.trafficcone", (0.45, 0.45, 1.0), 0.1, street_users.cone, ""),
    "small cone": Kind("traffic_cone", "movable_object.trafficcone", (0.32, 0.32, 0.6), 0.1, street_users.cone, ""),
    "barrier": Kind("barrier", "movable_object.barrier", (0.55, 2.1, 1.0), 0.08, street_users.barrier, ""),
    "long barrier": Kind("barrier", "movable_object.barrier", (0.6, 3.0, 0.95), 0.08, street_users.barrier, ""),
    "short barrier": Kind("barrier", "movable_object.barrier", (0.45, 1.3, 1.1), 0.08, street_users.barrier, ""),
}
"""All kinds; riders are part of their cycles, as in nuScenes."""

VARIANTS: dict[str, tuple[tuple[str, float], ...]] = {
    "car": (("car", 0.5), ("small car", 0.22), ("off-roader", 0.16), ("van", 0.12)),
    "van": (("van", 1.0),),
    "truck": (("truck", 0.4), ("light truck", 0.35), ("long truck", 0.25)),
    "light truck": (("light truck", 1.0),),
    "tractor": (("tractor", 1.0),),
    "bus": (("bus", 0.72), ("small bus", 0.28)),
    "trailer": (("trailer", 0.68), ("small trailer", 0.32)),
    "small trailer": (("small trailer", 1.0),),
    "long trailer": (("trailer", 1.0),),
    "digger": (("digger", 0.5), ("small digger", 0.3), ("large digger", 0.2)),
    "small digger": (("small digger", 1.0),),
    "pedestrian": (("pedestrian", 0.85), ("child", 0.15)),
    "worker": (("worker", 1.0),),
    "motorcycle": (("motorcycle", 0.45), ("scooter", 0.37), ("large motorcycle", 0.18)),
    "motorcyclist": (("motorcyclist", 1.0),),
    "bicycle": (("bicycle", 0.78), ("small bicycle", 0.22)),
    "cyclist": (("cyclist", 1.0),),
    "cone": (("cone", 0.62), ("small cone", 0.38)),
    "barrier": (("barrier", 0.62), ("short barrier", 0.38)),
    "long barrier": (("long barrier", 1.0),),
}
"""The kinds that may be meant by a name, with their shares."""

DETECTION_NAMES = tuple(dict.fromkeys(kind.detection_name for kind in KINDS.values()))


def draw_kind(name: str, rng: np.random.Generator) -> Kind:
    """Draw one of the kinds that are meant by a key of `VARIANTS`."""
    kinds, shares = zip(*VARIANTS[name])
    return KINDS[kinds[int(np.searchsorted(np.cumsum(shares)[:-1], rng.random(), side="right"))]]


def draw_size(kind: Kind, rng: np.random.Generator) -> ndarray:
    """Draw the length, width and height (m) of one annotation box, rounded to millimetres as nuScenes' are."""
    factor = np.clip(rng.normal(1.0, kind.spread, 3), 1 - 2 * kind.spread, 1 + 2 * kind.spread)
    return np.round(np.array(kind.size) * factor, 3)


def build_in_box(kind: Kind, size: ndarray, rng: np.random.Generator) -> Mesh:
    """Build the object in the frame of its box, whose origin is its middle; it fills the box up to the margins."""
    half = size / 2
    margin = np.array([SIDE_MARGIN, SIDE_MARGIN, GROUND_MARGIN])
    low = -half + margin - [0, 0, 2 * GROUND_MARGIN]
    return kind.build(rng, size).fitted(low, half - margin)
