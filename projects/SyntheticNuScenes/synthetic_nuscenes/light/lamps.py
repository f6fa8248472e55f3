"""This module gives the light of street lamps and of vehicles at night."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial import cKDTree

from synthetic_nuscenes.moment import Moment
from synthetic_nuscenes.traffic.actors import EGO_SIZE, Actor
from synthetic_nuscenes.world import World, dot

LAMP_POWER = 36.0
"""Light of a street lamp on a surface that faces it at one metre."""
BEAM_POWER = 130.0
"""Light of a pair of head lights straight ahead at one metre."""
_LAMP_REACH, _LAMPS_PER_PLACE, _CELL = 45.0, 4, 4.0
_BEAM_REACH, _LIT_VEHICLES = 60.0, 10
_WITH_BEAMS = ("car", "truck", "bus", "motorcycle")


class Beams(NamedTuple):
    """`Beams` are the lit head lights of `b` vehicles; the first ones are the recording car's."""

    place: ndarray
    """`[b, 3]` middle between the head lights (m)."""
    forward: ndarray
    """`[b, 2]` horizontal direction in which they shine."""
    tail: ndarray
    """`[b, 3]` middle between the tail lights (m)."""


def has_lights_on(actor: Actor) -> bool:
    """Return whether a vehicle has its lights on in the dark: not when it is parked or has no rider."""
    return actor.rest not in ("vehicle.parked", "cycle.without_rider") and actor.kind.states != "pedestrian"


class NightLights:
    """`NightLights` are the lights of a world around one place at one time.

    Args:
        place: `[2]` where the camera is (m).
    """

    def __init__(self, world: World, moment: Moment, place: ndarray) -> None:
        self._moment, self._weather = moment, world.weather
        self._lamps = world.lamps
        if len(self._lamps):
            self._low = self._lamps[:, :2].min(axis=0) - _LAMP_REACH
            size = np.ceil((np.ptp(self._lamps[:, :2], axis=0) + 2 * _LAMP_REACH) / _CELL).astype(int)
            x, y = (self._low[k] + _CELL * (np.arange(size[k]) + 0.5) for k in (0, 1))
            grid = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)
            most = min(_LAMPS_PER_PLACE, len(self._lamps))
            _, nearest = cKDTree(self._lamps[:, :2]).query(grid, np.arange(1, most + 1))
            self._nearest = nearest.astype(np.int32)
        self.beams = _beams(world, moment.time, place)

    def on_surfaces(self, point: ndarray, normal: ndarray) -> Float[ndarray, "n 3"]:
        """Return the light `[n, 3]` that lamps and head lights throw on points with unit normals."""
        total = np.zeros((len(point), 3), np.float32)
        for k, (towards, away) in enumerate(self._lamps_near(point)):
            facing = np.clip(dot(normal, towards), 0, 1)
            # A lamp shines down and sideways, not up.
            down = np.clip(towards[:, 2] * 3.0, 0, 1)
            light = LAMP_POWER * facing * down / (away**2 + 1.0)
            if k < 2:
                at = np.flatnonzero(light > 0.004)
                # Up to just below the head, which would be in the way itself.
                reach = np.clip(away[at] - 0.5, 0, None)
                light[at[self._moment.occluded(point[at], towards[at], reach)]] = 0.0
            total += light[:, None] * self._weather.lamp_color.astype(np.float32)
        return total + self._head_light(point, normal)[:, None] * np.float32([1.0, 0.94, 0.82])

    def highlights(self, point: ndarray, mirrored: ndarray, sharpness: float) -> Float[ndarray, "n 3"]:
        """Return what a rough mirror shows of lamps and vehicle lights.

        Args:
            point: `[n, 3]` metres.
            mirrored: `[n, 3]` unit directions into which the eye's ray is mirrored.
            sharpness: exponent; the higher, the smaller the highlight.
        """
        total = np.zeros((len(point), 3), np.float32)
        for towards, away in self._lamps_near(point):
            shine = _lobe(mirrored, towards, sharpness) * 26.0 / (away + 4.0)
            total += shine[:, None] * self._weather.lamp_color.astype(np.float32)
        for k in range(1, len(self.beams.place)):
            for place, sign, color in (
                (self.beams.place[k], 1, (1.0, 0.94, 0.82)),
                (self.beams.tail[k], -1, (0.6, 0.02, 0.01)),
            ):
                towards, away = _direction(point, place)
                ahead = -(towards[:, :2] @ (sign * self.beams.forward[k]))
                shine = _lobe(mirrored, towards, sharpness) * np.clip(ahead, 0, 1) ** 2 * 18.0 / (away + 4.0)
                total += shine[:, None] * np.float32(color)
        return total

    def _lamps_near(self, point: ndarray) -> list[tuple[ndarray, ndarray]]:
        """Return the nearest lamps of each point, each with direction and distance."""
        if len(self._lamps) == 0 or len(point) == 0:
            return []
        i, j = (
            np.clip((point[:, k] - self._low[k]) / _CELL, 0, self._nearest.shape[k] - 1).astype(np.int64)
            for k in (0, 1)
        )
        lamps = self._nearest[i, j]
        return [_direction(point, self._lamps[lamps[:, k]]) for k in range(lamps.shape[1])]

    def _head_light(self, point: ndarray, normal: ndarray) -> ndarray:
        """Return the light of low beams: a flat fan ahead that ends just below the horizon."""
        total = np.zeros(len(point), np.float32)
        for place, forward, _ in zip(*self.beams):
            along = (point[:, 0] - place[0]) * forward[0] + (point[:, 1] - place[1]) * forward[1]
            at = np.flatnonzero((along > 0.3) & (along < _BEAM_REACH))
            if len(at) == 0:
                continue
            towards, away = _direction(point[at], place)
            side = (towards[:, 0] * forward[1] - towards[:, 1] * forward[0]) / np.sqrt(1 - towards[:, 2] ** 2 + 1e-6)
            # `towards` points to the lamp: what is below the lamp sees it above itself.
            below = np.clip((towards[:, 2] + 0.02) / 0.03, 0.06, 1)
            fan = np.exp(-((side / 0.42) ** 2)) * below
            facing = np.clip(dot(normal[at], towards), 0, 1)
            total[at] += BEAM_POWER * fan * facing / (away**2 + 2.0)
        return total


def _beams(world: World, time: float, place: ndarray) -> Beams:
    now = np.array([time])
    frame = world.ego_poses(now)[0]
    forward = frame[:2, 0] / np.linalg.norm(frame[:2, 0])
    # The origin of the car is on its rear axle.
    middle = frame[:3, 3] + np.array([*(3.1 * forward), 0.68])
    rows = [(middle, forward, middle - np.array([*(EGO_SIZE[0] * forward), 0.0]))]
    others = []
    for k, actor in enumerate(world.actors):
        if actor.kind.detection_name not in _WITH_BEAMS or not has_lights_on(actor):
            continue
        center, yaw = world.actor_poses(k, now)
        away = float(np.hypot(*(center[0, :2] - place)))
        if away < 90:
            ahead = np.array([np.cos(yaw[0]), np.sin(yaw[0])])
            low = np.array([*center[0, :2], 0.7 + actor.ground])
            half = np.array([*(0.5 * actor.size[0] * ahead), 0.0])
            others.append((away, k, (low + half, ahead, low - half)))
    rows += [row for _, _, row in sorted(others, key=lambda other: other[:2])[:_LIT_VEHICLES]]
    return Beams(*(np.array(column) for column in zip(*rows)))


def _direction(point: ndarray, place: ndarray) -> tuple[ndarray, ndarray]:
    """Return unit vectors from points to a place or to one place each, and the distances (m)."""
    between = (place - point).astype(np.float32)
    away = np.sqrt(dot(between, between)).clip(1e-3)
    return between / away[:, None], away


def _lobe(mirrored: ndarray, towards: ndarray, sharpness: float) -> ndarray:
    """Return how much of a light a rough mirror shows; it is drawn out up and down, as on a wet road."""
    across = mirrored[:, 0] * towards[:, 1] - mirrored[:, 1] * towards[:, 0]
    level = np.sqrt((1 - mirrored[:, 2] ** 2) * (1 - towards[:, 2] ** 2)).clip(1e-3)
    ahead = mirrored[:, 0] * towards[:, 0] + mirrored[:, 1] * towards[:, 1] > 0
    rise = mirrored[:, 2] - towards[:, 2]
    return np.exp(-sharpness * ((across / level) ** 2 + 0.12 * rise**2)) * ahead
