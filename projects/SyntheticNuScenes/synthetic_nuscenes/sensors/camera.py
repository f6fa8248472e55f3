"""This module takes pictures of the world: one ray for each pixel, and more where things meet."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from synthetic_nuscenes.light.shading import Shader
from synthetic_nuscenes.light.sky import develop
from synthetic_nuscenes.moment import STATIC, WorldHits
from synthetic_nuscenes.world import World

from .camera_effects import EXACT, CameraEffects, blurred, drops_on_lens, glare, rain_streaks, sensor_noise
from .rig import Camera

_FAR = 2000.0


class Picture(NamedTuple):
    """A `Picture` is what a camera sees at one time, with what is needed to tell how visible each actor is."""

    image: ndarray
    """`[h, w, 3]` uint8 RGB."""
    body: ndarray
    """`[h, w]` number of the body at the middle of each pixel, see `WorldHits`."""
    alone: ndarray
    """`[actors]` number of pixels that each actor would cover if nothing were in the way."""


def take_picture(
    world: World,
    camera: Camera,
    time: float,
    width: int,
    height: int,
    smooth: bool = True,
    effects: CameraEffects = EXACT,
    rng: np.random.Generator | None = None,
) -> Picture:
    """Take the picture of a camera at `time` (s), which is when the middle row is exposed.

    Args:
        width: of the image, pixels.
        height: of the image, pixels.
        smooth: whether pixels at the edges of things are averaged over four more rays.
        effects: how the camera differs from a perfect one.
        rng: what noise and rain drops are drawn from.

    Raises:
        ValueError: when effects that are drawn have no `rng`.
    """
    if rng is None and effects.are_drawn:
        raise ValueError("take_picture: noise and rain drops need a generator, rng")
    intrinsic = camera.intrinsic(width, height)
    row_times = time + effects.row_delays(height)
    poses = world.ego_poses(row_times) @ camera.to_ego()
    moment = world.at(time)
    shader = Shader(world, moment, intrinsic[0, 0], poses[height // 2, :2, 3])

    def look(pixels: ndarray) -> tuple[ndarray, WorldHits, tuple[ndarray, ndarray, ndarray]]:
        row = np.clip(np.rint(pixels[:, 1]).astype(np.int64), 0, height - 1)
        rays = (*pixel_rays(poses[row], intrinsic, pixels), row_times[row])
        hits = world.cast(*rays) if effects.rolling_shutter else moment.first_hits(*rays[:2])
        return shader.light(hits, *rays), hits, rays

    v, u = np.mgrid[:height, :width].astype(np.float64)
    pixels = np.stack([u.ravel(), v.ravel()], axis=1)
    light, hits, rays = look(pixels)
    if smooth:
        edge = np.flatnonzero(_edges(hits, height, width).ravel())
        corners = np.array([[-0.25, -0.125], [0.125, -0.25], [0.25, 0.125], [-0.125, 0.25]])
        finer, _, _ = look((pixels[edge, None] + corners).reshape(-1, 2))
        light[edge] = _average(finer.reshape(-1, 4, 3), world.weather.exposure)
    light = light.reshape(height, width, 3)
    if effects.motion_blur:
        light = blurred(light, _motion(world, camera, intrinsic, hits, rays).reshape(height, width, 2))
    light = _through_lens(light, world, effects, rng)
    color = develop(world.weather, light)
    if effects.noise:
        color = sensor_noise(color, world.weather.gain, rng)
    image = np.rint(color * 255).astype(np.uint8)
    return Picture(image, hits.body.reshape(height, width), world.count_alone(*rays))


def pixel_rays(
    poses: Float[ndarray, "#n 4 4"], intrinsic: Float[ndarray, "3 3"], pixels: Float[ndarray, "n 2"]
) -> tuple[Float[ndarray, "n 3"], Float[ndarray, "n 3"]]:
    """Return the origins and unit directions, in the world, of the rays through pixels (u, v).

    Args:
        poses: matrices from the camera to the world, one for each pixel or one for all.
    """
    x = (pixels[:, 0] - intrinsic[0, 2]) / intrinsic[0, 0]
    y = (pixels[:, 1] - intrinsic[1, 2]) / intrinsic[1, 1]
    length = np.sqrt(x * x + y * y + 1)
    turn = poses[:, :3, :3]
    directions = (x[:, None] * turn[:, :, 0] + y[:, None] * turn[:, :, 1] + turn[:, :, 2]) / length[:, None]
    return np.broadcast_to(poses[:, :3, 3], directions.shape).copy(), directions


def _through_lens(light: ndarray, world: World, effects: CameraEffects, rng: np.random.Generator | None) -> ndarray:
    """Add rain in the air, rain on the lens, and glare."""
    weather = world.weather
    if effects.rain and weather.rain > 0:
        light = rain_streaks(light, weather.rain, weather.horizon, rng)
    if effects.glare:
        light = glare(light, weather.exposure, strength=2.0 if weather.condition in ("rain", "fog") else 1.0)
    if effects.rain and weather.rain > 0:
        light = drops_on_lens(light, weather.rain, rng)
    return light


def _average(light: ndarray, exposure: float) -> ndarray:
    """Average rays `[n, k, 3]` so that one lamp does not outshine the rest of its pixel (Karis 2013)."""
    weight = 1 / (1 + exposure * light.max(axis=2, keepdims=True))
    return (light * weight).sum(axis=1) / weight.sum(axis=1)


def _motion(
    world: World, camera: Camera, intrinsic: ndarray, hits: WorldHits, rays: tuple[ndarray, ndarray, ndarray]
) -> ndarray:
    """Return by how many pixels what each pixel shows moves while the shutter is open, `[n, 2]`."""
    origins, directions, times = rays
    half = 0.5 * world.weather.exposure_time
    point = origins + np.minimum(hits.distance, _FAR)[:, None] * directions
    velocity = np.zeros((len(world.actors) + 1, 3))
    middle = float(times[len(times) // 2])
    for body in np.unique(hits.body[hits.body > STATIC]).tolist():
        if world.actors[body - 1].moves:
            ends, _ = world.actor_poses(body - 1, np.array([middle - half, middle + half]))
            velocity[body] = 0.5 * (ends[1] - ends[0])
    shift = velocity[np.maximum(hits.body, STATIC)]
    ends = []
    for sign in (-1, 1):
        pose = np.linalg.inv(world.ego_poses(np.array([middle + sign * half]))[0] @ camera.to_ego())
        local = (point + sign * shift) @ pose[:3, :3].T + pose[:3, 3]
        depth = np.maximum(local[:, 2:], 0.1)
        ends.append(local[:, :2] / depth * (intrinsic[0, 0], intrinsic[1, 1]))
    return ends[1] - ends[0]


def _edges(hits: WorldHits, height: int, width: int) -> ndarray:
    """Return which pixels have neighbors that show another body, another side of a triangle or another depth."""
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
