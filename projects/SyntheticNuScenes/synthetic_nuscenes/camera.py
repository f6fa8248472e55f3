"""This module takes pictures of the world: one ray for each pixel, one towards the sun, more where things meet."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from .casting import Caster
from .materials import MATERIALS, Texture
from .rig import Camera
from .textures import pattern
from .weather import develop, sky
from .world import NOTHING, World, WorldHits, dot

_GLOSS = np.array([m.gloss for m in MATERIALS], np.float32)
_TEXTURE = np.array([m.texture for m in MATERIALS])


class Picture(NamedTuple):
    """A `Picture` is what a camera sees at one time, with what is needed to tell how visible each actor is."""

    image: ndarray
    """`[h, w, 3]` uint8 RGB."""
    body: ndarray
    """`[h, w]` number of the body at the middle of each pixel, see `WorldHits`."""
    alone: ndarray
    """`[actors]` number of pixels that each actor would cover if nothing were in the way."""


def take_picture(world: World, camera: Camera, time: float, width: int, height: int, smooth: bool = True) -> Picture:
    """Take the picture of a camera at `time` (s).

    Args:
        width: of the image, pixels.
        height: of the image, pixels.
        smooth: whether pixels at the edges of things are averaged over four more rays.
    """
    pose = world.ego_poses(np.array([time]))[0] @ camera.to_ego()
    intrinsic = camera.intrinsic(width, height)
    v, u = np.mgrid[:height, :width].astype(np.float64)
    shadows = world.actors_at(time)
    pixels = np.stack([u.ravel(), v.ravel()], axis=1)
    light, hits, alone = _look(world, shadows, pose, intrinsic, pixels, time)
    color = develop(world.weather, light)
    if smooth:
        edge = np.flatnonzero(_edges(hits, height, width).ravel())
        corners = np.array([[-0.25, -0.125], [0.125, -0.25], [0.25, 0.125], [-0.125, 0.25]])
        finer = (pixels[edge, None] + corners).reshape(-1, 2)
        light, _, _ = _look(world, shadows, pose, intrinsic, finer, time)
        color[edge] = develop(world.weather, light).reshape(-1, 4, 3).mean(axis=1)
    image = np.rint(color * 255).astype(np.uint8).reshape(height, width, 3)
    return Picture(image, hits.body.reshape(height, width), alone)


def pixel_rays(
    pose: Float[ndarray, "4 4"], intrinsic: Float[ndarray, "3 3"], pixels: Float[ndarray, "n 2"]
) -> tuple[Float[ndarray, "n 3"], Float[ndarray, "n 3"]]:
    """Return the origins and unit directions, in the world, of the rays through pixels (u, v)."""
    x = (pixels[:, 0] - intrinsic[0, 2]) / intrinsic[0, 0]
    y = (pixels[:, 1] - intrinsic[1, 2]) / intrinsic[1, 1]
    length = np.sqrt(x * x + y * y + 1)
    turn = pose[:3, :3]
    directions = (x[:, None] * turn[:, 0] + y[:, None] * turn[:, 1] + turn[:, 2]) / length[:, None]
    return np.broadcast_to(pose[:3, 3], directions.shape).copy(), directions


def _look(
    world: World, shadows: Caster, pose: ndarray, intrinsic: ndarray, pixels: ndarray, time: float
) -> tuple[ndarray, WorldHits, ndarray]:
    """Return the light that arrives through pixels, and what they show."""
    origins, directions = pixel_rays(pose, intrinsic, pixels)
    times = np.full(len(origins), time)
    hits, alone = world.cast(origins, directions, times)
    light = np.empty((len(origins), 3), np.float32)
    above = hits.body == NOTHING
    light[above] = sky(world.weather, directions[above].astype(np.float32))
    solid = np.flatnonzero(~above)
    solid_hits = WorldHits(*(a[solid] for a in hits))
    light[solid] = _shade(world, shadows, solid_hits, origins[solid], directions[solid], times[solid], intrinsic[0, 0])
    return light, hits, alone


def _shade(
    world: World, shadows: Caster, hits: WorldHits, origins: ndarray, directions: ndarray, times: ndarray, focal: float
) -> ndarray:
    weather = world.weather
    surface = world.surfaces(hits, origins, directions, times)
    normal, directions = surface.normal, directions.astype(np.float32)
    facing = -dot(normal, directions)
    footprint = (hits.distance / focal / np.clip(facing, 0.06, 1)).astype(np.float32)
    albedo, gloss = surface.color.copy(), _GLOSS[surface.material].copy()
    texture = _TEXTURE[surface.material]
    place = surface.place.astype(np.float32)
    for kind in np.flatnonzero(np.bincount(texture)):
        if kind == Texture.PLAIN:
            continue
        at = np.flatnonzero(texture == kind)
        drawn, extra = pattern(Texture(kind), albedo[at], place[at], normal[at], surface.uv[at], footprint[at])
        albedo[at], gloss[at] = drawn, gloss[at] + extra

    sun = weather.sun.astype(np.float32)
    towards = np.clip(normal @ sun, 0, 1)
    point = origins + hits.distance[:, None] * directions + 0.004 * normal
    lit = np.flatnonzero(towards > 0)
    aim = np.broadcast_to(sun, (len(lit), 3))
    dark = world.static.occluded(point[lit], aim) | shadows.occluded(point[lit], aim)
    sunlight = towards.copy()
    sunlight[lit[dark]] = 0.0

    up = 0.5 + 0.5 * normal[:, 2:3]
    openness = _openness(world, shadows, point, normal)
    zenith, horizon = weather.zenith.astype(np.float32), weather.horizon.astype(np.float32)
    bounce = np.float32([0.13, 0.12, 0.11]) * (0.4 + weather.sun_color.max() / 2.9)
    ambient = (up * (0.55 * zenith + 0.45 * horizon) * 1.1 + (1 - up) * (bounce + 0.25 * horizon)) * openness[:, None]
    light = albedo * (ambient + sunlight[:, None] * weather.sun_color.astype(np.float32))

    shiny = np.flatnonzero(gloss > 0.004)
    if len(shiny):
        cosine = np.clip(facing[shiny], 0, 1)
        share = gloss[shiny] + (0.75 - gloss[shiny]) * (1 - cosine) ** 5 * np.clip(gloss[shiny] * 14, 0, 1)
        mirrored = directions[shiny] + 2 * cosine[:, None] * normal[shiny]
        seen = sky(weather, mirrored)
        # Below the horizon and near it a mirror shows streets and houses rather than sky.
        street = np.clip(1 - 3.5 * (mirrored[:, 2:3] - 0.05), 0, 1)
        seen = seen * (1 - street) + np.float32([0.17, 0.165, 0.16]) * (0.5 + horizon) * street
        glint = np.clip(mirrored @ sun, 0, 1)[:, None] ** 160 * 6.0 * (sunlight[shiny] > 0)[:, None]
        light[shiny] = light[shiny] * (1 - share[:, None]) + share[:, None] * (seen + glint * weather.sun_color)
    air = (1 - np.exp(-hits.distance / weather.haze)).astype(np.float32)[:, None]
    return light * (1 - air) + 0.85 * horizon * air


def _openness(world: World, shadows: Caster, point: ndarray, normal: ndarray) -> ndarray:
    """Return the share of the ambient light that reaches points: it is less under cars and in corners."""
    slant = normal + np.float32([0.35, 0.25, 0.3])
    slant /= np.sqrt(dot(slant, slant))[:, None]
    under = shadows.occluded(point, normal, 1.2)
    near = world.static.occluded(point, slant, 0.8)
    return (1 - 0.6 * under - 0.3 * near).astype(np.float32)


def _edges(hits: WorldHits, height: int, width: int) -> ndarray:
    """Return which pixels have neighbours that show another body, another side of a triangle or another depth."""
    body = hits.body.reshape(height, width)
    depth = np.where(np.isfinite(hits.distance), hits.distance, 1e4).reshape(height, width)
    edge = np.zeros((height, width), bool)
    for axis in (0, 1):
        change = np.diff(body, axis=axis) != 0
        deep = np.take(depth, range(1, depth.shape[axis]), axis), np.take(depth, range(depth.shape[axis] - 1), axis)
        change |= np.abs(deep[0] - deep[1]) > 0.06 * np.minimum(*deep) + 0.05
        before = np.pad(change, [(0, 1), (0, 0)] if axis == 0 else [(0, 0), (0, 1)])
        after = np.pad(change, [(1, 0), (0, 0)] if axis == 0 else [(0, 0), (1, 0)])
        edge |= before | after
    return edge
