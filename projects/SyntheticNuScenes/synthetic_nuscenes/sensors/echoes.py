"""This module tells how strong the LiDAR's echoes are, which of them get lost, and which come from rain or fog."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from synthetic_nuscenes.geometry.materials import MATERIALS, material
from synthetic_nuscenes.light.weather import Weather
from synthetic_nuscenes.light.wet import DARKENING, PAVED, puddles
from synthetic_nuscenes.moment import STATIC, WorldHits
from synthetic_nuscenes.world import Surfaces, World, dot

MAX_RANGE, MIN_RANGE = 100.0, 1.0
RAINDROP = material("raindrop").number
"""Material of returns from rain and fog; its lidarseg class is `noise`."""
_REFLECTIVITY = np.array([m.reflectivity for m in MATERIALS])
_DROPOUT = np.array([m.dropout for m in MATERIALS])


class Echoes(NamedTuple):
    """`Echoes` are what comes back from surfaces that `n` rays hit."""

    strength: ndarray
    """`[n]` echo, 1 for a white wall that faces the LiDAR, as measured: without the loss over the distance."""
    lost: ndarray
    """`[n]` probability that the echo is not noticed."""


def echoes(
    world: World,
    hits: WorldHits,
    surface: Surfaces,
    directions: Float[ndarray, "n 3"],
    place: Float[ndarray, "n 3"],
    weather: bool,
    spread: float,
) -> Echoes:
    """Return the echoes of rays, all of which hit something at `place` `[n, 3]` (m).

    Args:
        weather: whether rain, fog and wet streets weaken them.
        spread: standard deviation of the reflectivity between objects, as a share of it.
    """
    facing = np.abs(dot(surface.normal, directions))
    distance = hits.distance.astype(np.float64)
    strength = _REFLECTIVITY[surface.material] * _brightness(surface.color) * (0.25 + 0.75 * facing)
    strength *= (1 + spread * _variation(world))[hits.body]
    lost = _DROPOUT[surface.material].copy()
    if weather:
        # Dark when wet, as to the eye; what a film of water mirrors away does not come back at all.
        wet = world.weather.wet
        left = np.exp(-2 * extinction(world.weather) * distance)
        strength *= (1 - wet * DARKENING[surface.material]) * left
        lost += 0.7 * (1 - left) ** 2
        film = (hits.body == STATIC) & PAVED[surface.material] & (surface.normal[:, 2] > 0.9)
        flat = np.clip(1 - facing / 0.2, 0, 1)
        pool = puddles(place[:, 0], place[:, 1], wet) if wet > 0 else 0.0
        lost += film * np.clip(0.45 * wet * flat + 0.8 * pool * flat, 0, 0.95)
    lost += 0.25 * np.clip((distance / MAX_RANGE) ** 2 * 0.12 / (strength + 1e-3), 0, 4)
    return Echoes(strength, lost)


def extinction(weather: Weather) -> float:
    """Return the share of the LiDAR's light that rain or fog takes away per metre; plausible, not measured."""
    return 0.0035 * weather.rain**0.6 + (1.0 / weather.haze if weather.condition == "fog" else 0.0)


def drop_distances(weather: Weather, count: int, rng: np.random.Generator) -> Float[ndarray, " n"]:
    """Draw the distance (m) at which rain or fog sends each of `count` rays back, inf for the most.

    They are near the car: farther drops send too little back to be noticed.
    """
    share = 0.0011 * weather.rain + (0.35 / weather.haze if weather.condition == "fog" else 0.0)
    distance = np.full(count, np.inf)
    at = np.flatnonzero(rng.random(count) < share)
    distance[at] = MIN_RANGE + rng.exponential(2.5, len(at))
    return distance


def _brightness(color: ndarray) -> ndarray:
    """Return a factor between 0.5 and 1.5: darker paint sends less back."""
    return 0.5 + np.clip(color[:, 0] * 1.6, 0, 1)


def _variation(world: World) -> ndarray:
    """Return by how many standard deviations each body differs from others of its color; always 0 for the scenery."""
    # The size is as good as a seed: it is drawn for each actor, and the same in all sweeps.
    parts = [(actor.size * (1311.7, 733.3, 419.1)).sum() % 1.0 for actor in world.actors]
    return np.concatenate([[0.0], np.sqrt(12) * (np.array(parts) - 0.5)])
