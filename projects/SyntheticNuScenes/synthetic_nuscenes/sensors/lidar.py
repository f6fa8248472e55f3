"""This module records sweeps with a spinning 32-beam LiDAR on the moving car."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from synthetic_nuscenes.moment import NOTHING, WorldHits
from synthetic_nuscenes.world import World

from .echoes import MAX_RANGE, MIN_RANGE, RAINDROP, drop_distances, echoes
from .rig import lidar_to_ego

ELEVATIONS = np.linspace(-30.67, 10.67, 32)
"""Elevations of the 32 beams (degrees), those of an HDL-32E; ring 0 is the lowest."""
PERIOD = 0.05
COLUMNS = 1085
"""Number of firings in a turn: one every 46.08 µs."""
FORWARD_BEFORE_END = 0.0355
"""Time (s) before the end of a turn at which the LiDAR looks straight ahead."""


@dataclass(frozen=True)
class LidarErrors:
    """`LidarErrors` say how a real sensor differs from exact rays.

    All of them are on: they leave points where they are, but for the range noise, and a detector that was trained on
    exact sweeps of a perfect sensor would learn what no sensor gives.
    """

    range_noise: float = 0.012
    """Standard deviation of a distance (m)."""
    dropout: bool = True
    """Whether rays get lost: more of them the darker, the more slanting and the farther the surface is."""
    weather: bool = True
    """Whether rain and fog weaken far returns and send some back themselves, and wet streets mirror rays away."""
    spread: float = 0.2
    """Standard deviation of the reflectivity between objects of one color, as a share of it."""


PERFECT = LidarErrors(range_noise=0.0, dropout=False, weather=False, spread=0.0)
"""A perfect LiDAR: exact distances, nothing lost."""


class Sweep(NamedTuple):
    """A `Sweep` is one turn of the LiDAR with `n` returns."""

    points: ndarray
    """`[n, 5]` float32: x, y, z (m) in the LiDAR frame at the end of the turn, intensity 0 to 255, ring."""
    body: ndarray
    """`[n]` number of the body that was hit, see `WorldHits`; `NOTHING` for rain and fog."""
    material: ndarray
    """`[n]` number of its material."""


def firing_azimuths() -> Float[ndarray, " n"]:
    """Return the angles (rad) of the columns in order of time.

    They are counter-clockwise from straight ahead; the LiDAR turns clockwise.
    """
    return -2 * np.pi * (firing_delays() + FORWARD_BEFORE_END) / PERIOD


def firing_delays() -> Float[ndarray, " n"]:
    """Return the times (s) from the end of the turn to each column; all are negative but the last."""
    return PERIOD * (np.arange(COLUMNS) + 1) / COLUMNS - PERIOD


def crossing_delay(azimuth: float) -> float:
    """Return the time (s) from the end of a turn to when the LiDAR looks at an azimuth (rad, from straight ahead)."""
    delay = -FORWARD_BEFORE_END - azimuth / (2 * np.pi) * PERIOD
    return float((delay - 1e-12) % PERIOD - PERIOD)


def sweep(world: World, time: float, rng: np.random.Generator, errors: LidarErrors | None = None) -> Sweep:
    """Record the turn that ends at `time` (s); each firing is cast from where the car is at its own moment.

    Points are brought to the car at the end of the turn by the car's own motion, as nuScenes does it; what moves by
    itself stays where it was hit.
    """
    errors = LidarErrors() if errors is None else errors
    times = time + firing_delays()
    sensor = lidar_to_ego()
    frames = world.ego_poses(times) @ sensor
    azimuth, elevation = firing_azimuths()[:, None], np.deg2rad(ELEVATIONS)[None]
    # Straight ahead is +y of the sensor.
    level = np.cos(elevation)
    rays = np.stack(
        [-np.sin(azimuth) * level, np.cos(azimuth) * level, np.broadcast_to(np.sin(elevation), (COLUMNS, 32))], axis=-1
    )
    directions = np.einsum("cij,cbj->cbi", frames[:, :3, :3], rays).reshape(-1, 3)
    origins = np.repeat(frames[:, :3, 3], 32, axis=0)
    ray_times, ring = np.repeat(times, 32), np.tile(np.arange(32), COLUMNS)

    hits = world.cast(origins, directions, ray_times)
    distance, body = hits.distance.astype(np.float64), hits.body
    of = np.full(len(distance), RAINDROP, np.uint8)
    intensity, back = np.zeros(len(distance)), np.zeros(len(distance), bool)

    solid = np.flatnonzero((body != NOTHING) & (distance > MIN_RANGE) & (distance < MAX_RANGE))
    solid_hits = WorldHits(*(a[solid] for a in hits))
    surface = world.surfaces(solid_hits, origins[solid], directions[solid], ray_times[solid])
    place = origins[solid] + distance[solid, None] * directions[solid]
    strength, lost = echoes(world, solid_hits, surface, directions[solid], place, errors.weather, errors.spread)
    of[solid] = surface.material
    intensity[solid] = 100 * strength * (1 + 0.06 * rng.standard_normal(len(solid)))
    back[solid] = rng.random(len(solid)) > lost if errors.dropout else True
    if errors.weather:
        drop = drop_distances(world.weather, len(distance), rng)
        first = np.flatnonzero(drop < distance)
        distance[first], body[first], of[first], back[first] = drop[first], NOTHING, RAINDROP, True
        intensity[first] = rng.uniform(0, 6, len(first))

    measured = distance[back] + errors.range_noise * rng.standard_normal(np.count_nonzero(back))
    place = origins[back] + measured[:, None] * directions[back]
    to_sensor = np.linalg.inv(world.ego_poses(np.array([time]))[0] @ sensor)
    local = np.einsum("ij,nj->ni", to_sensor[:3, :3], place) + to_sensor[:3, 3]
    points = np.column_stack([local, np.clip(np.rint(intensity[back]), 0, 255), ring[back]]).astype(np.float32)
    return Sweep(points, body[back], of[back])
