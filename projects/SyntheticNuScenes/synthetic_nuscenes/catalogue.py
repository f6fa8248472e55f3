"""This module lists the kinds of annotated things: their names in nuScenes, usual sizes, and how they are built."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from . import heavy_vehicles, street_users, vehicles
from .mesh import Mesh

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


KINDS = {
    "car": Kind("car", "vehicle.car", (4.6, 1.93, 1.7), 0.05, vehicles.car, "vehicle"),
    "truck": Kind("truck", "vehicle.truck", (7.0, 2.5, 2.95), 0.08, vehicles.truck, "vehicle"),
    "bus": Kind("bus", "vehicle.bus.rigid", (10.8, 2.9, 3.4), 0.04, vehicles.bus, "vehicle"),
    "trailer": Kind("trailer", "vehicle.trailer", (11.5, 2.75, 3.8), 0.05, heavy_vehicles.trailer, "vehicle"),
    "digger": Kind(
        "construction_vehicle", "vehicle.construction", (6.4, 2.75, 3.1), 0.05, heavy_vehicles.digger, "vehicle"
    ),
    "pedestrian": Kind(
        "pedestrian", "human.pedestrian.adult", (0.76, 0.66, 1.75), 0.05, street_users.pedestrian, "pedestrian"
    ),
    "worker": Kind(
        "pedestrian", "human.pedestrian.construction_worker", (0.76, 0.68, 1.8), 0.04, street_users.worker, "pedestrian"
    ),
    "motorcycle": Kind(
        "motorcycle", "vehicle.motorcycle", (2.1, 0.8, 1.25), 0.05, _cycle(street_users.motorcycle, False), "cycle"
    ),
    "motorcyclist": Kind(
        "motorcycle", "vehicle.motorcycle", (2.15, 0.85, 1.75), 0.04, _cycle(street_users.motorcycle, True), "cycle"
    ),
    "bicycle": Kind(
        "bicycle", "vehicle.bicycle", (1.72, 0.62, 1.1), 0.04, _cycle(street_users.bicycle, False), "cycle"
    ),
    "cyclist": Kind("bicycle", "vehicle.bicycle", (1.75, 0.66, 1.8), 0.04, _cycle(street_users.bicycle, True), "cycle"),
    "cone": Kind("traffic_cone", "movable_object.trafficcone", (0.42, 0.42, 0.95), 0.08, street_users.cone, ""),
    "barrier": Kind("barrier", "movable_object.barrier", (0.55, 2.1, 1.0), 0.04, street_users.barrier, ""),
}
"""All kinds; riders are part of their cycles, as in nuScenes."""

DETECTION_NAMES = tuple(dict.fromkeys(kind.detection_name for kind in KINDS.values()))


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
