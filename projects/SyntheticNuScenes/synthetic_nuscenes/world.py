"""This module joins a town, its weather, its actors and the drive through it; it tells what a ray hits at what time."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from .actors import Actor
from .casting import Caster
from .mesh import Mesh, merged
from .paths import Along
from .town import Town
from .weather import Weather

NOTHING, STATIC = -1, 0
"""Numbers in `WorldHits` of bodies that are no actors; actor k is body k + 1."""


class WorldHits(NamedTuple):
    """`WorldHits` are what `n` rays hit first."""

    distance: ndarray
    """`[n]` distances (m), inf for the sky."""
    body: ndarray
    """`[n]` bodies: `NOTHING`, `STATIC` or the number of an actor plus one."""
    face: ndarray
    """`[n]` triangles of that body."""
    weights: ndarray
    """`[n, 2]` weights of the second and third corner of that triangle."""


class Surfaces(NamedTuple):
    """`Surfaces` describe what is at the hits of `n` rays, in the frame of the body that was hit."""

    material: ndarray
    color: ndarray
    normal: ndarray
    """`[n, 3]` smooth normal in the world, on the side that the ray came from."""
    place: ndarray
    uv: ndarray


@dataclass
class World:
    """A `World` is a scene between the times `begin` and `end` (s).

    Its frame has z up and the streets at z = 0.
    """

    town: Town
    weather: Weather
    scenery: Mesh
    actors: list[Actor]
    ego: Along
    begin: float
    end: float

    def __post_init__(self) -> None:
        self._static = Caster(self.scenery.vertices, self.scenery.faces)
        self._casters = [Caster(actor.mesh.vertices, actor.mesh.faces) for actor in self.actors]

    def ego_poses(self, times: Float[ndarray, " n"]) -> Float[ndarray, "n 4 4"]:
        """Return the matrices from the ego frame (x forward, origin on the street) to the world.

        The body of the car pitches and rolls a little.
        """
        x, y, yaw = self.ego.at(times).T
        pitch = np.deg2rad(0.25) * np.sin(2 * np.pi * 0.9 * times + 1.0)
        roll = np.deg2rad(0.3) * np.sin(2 * np.pi * 0.6 * times)
        return pose_matrices(np.stack([x, y, np.zeros_like(x)], axis=1), yaw, pitch, roll)

    def actor_poses(self, actor: int, times: Float[ndarray, " n"]) -> tuple[ndarray, ndarray]:
        """Return the middle of an actor's box `[n, 3]` (m) and its yaw `[n]` (rad)."""
        x, y, yaw = self.actors[actor].motion.at(times).T
        return np.stack([x, y, np.full_like(x, self.actors[actor].height)], axis=1), yaw

    def cast(
        self, origins: Float[ndarray, "n 3"], directions: Float[ndarray, "n 3"], times: Float[ndarray, " n"]
    ) -> tuple[WorldHits, ndarray]:
        """Return what each ray hits at its own time.

        Every actor is met in its own frame, so motion between rays is exact.

        Args:
            origins: metres, in the world.
            directions: unit vectors, in the world.
            times: seconds.

        Returns:
            the hits, and for each actor how many rays would meet it if nothing were in the way.
        """
        distance, face, weights = self._static.first_hits(origins, directions)
        body = np.where(face >= 0, STATIC, NOTHING).astype(np.int32)
        alone = np.zeros(len(self.actors), np.int64)
        if len(origins) == 0:
            return WorldHits(distance, body, face, weights), alone
        spans = np.array([times.min(), 0.5 * (times.min() + times.max()), times.max()])
        start = origins.mean(axis=0)
        spread = float(np.abs(origins - start).max()) * 2
        single = directions.astype(np.float32)
        for k, actor in enumerate(self.actors):
            centers, _ = self.actor_poses(k, spans)
            reach = actor.radius + spread + np.linalg.norm(centers[2] - centers[0])
            towards = centers[1] - start
            away = np.linalg.norm(towards)
            if away > reach:
                if away > 150:
                    continue
                cosine = np.sqrt(1 - (reach / away) ** 2)
                near = np.flatnonzero(single @ (towards / away).astype(np.float32) > cosine - 1e-5)
            else:
                near = np.arange(len(origins))
            if len(near) == 0:
                continue
            found = self._casters[k].first_hits(*self._into_frame(k, origins[near], directions[near], times[near]))
            alone[k] = np.count_nonzero(found.face >= 0)
            closer = found.distance < distance[near]
            rays = near[closer]
            distance[rays], face[rays], weights[rays] = (a[closer] for a in found)
            body[rays] = k + 1
        return WorldHits(distance, body, face, weights), alone

    def surfaces(self, hits: WorldHits, origins: ndarray, directions: ndarray, times: ndarray) -> Surfaces:
        """Return what is at the hits of rays, all of which must have hit something."""
        n = len(origins)
        material, color = np.zeros(n, np.uint8), np.zeros((n, 3), np.float32)
        normal, uv = np.zeros((n, 3), np.float32), np.zeros((n, 2), np.float32)
        place = origins + hits.distance[:, None] * directions
        for body in np.flatnonzero(np.bincount(hits.body)).tolist():
            rays = np.flatnonzero(hits.body == body)
            mesh = self.scenery if body == STATIC else self.actors[body - 1].mesh
            face = hits.face[rays]
            second, third = hits.weights[rays].T
            share = ((1 - second - third)[:, None], second[:, None], third[:, None])
            material[rays], color[rays] = mesh.materials[face], mesh.colors[face]
            if body == STATIC:
                # Nothing that moves has a texture that needs coordinates.
                uv[rays] = sum(mesh.uv[face, k] * share[k] for k in range(3))
            local = sum(mesh.normals[face, k] * share[k] for k in range(3))
            if body != STATIC:
                center, yaw = self.actor_poses(body - 1, times[rays])
                local = _turned(local, yaw)
                place[rays] = _turned(place[rays] - center, -yaw)
            normal[rays] = local
        length = np.sqrt(dot(normal, normal)).clip(1e-6)
        normal *= np.where(dot(normal, directions) > 0, -1 / length, 1 / length)[:, None].astype(np.float32)
        return Surfaces(material, color, normal, place, uv)

    def actors_at(self, time: float) -> Caster:
        """Return all actors where they are at one time (s); shadows are cast with it."""
        moved = []
        for k, actor in enumerate(self.actors):
            center, yaw = self.actor_poses(k, np.array([time]))
            moved.append(actor.mesh.moved(center[0], float(yaw[0])))
        together = merged(moved)
        return Caster(together.vertices, together.faces)

    @property
    def static(self) -> Caster:
        """The caster of the scenery alone."""
        return self._static

    def _into_frame(self, actor: int, origins: ndarray, directions: ndarray, times: ndarray) -> tuple[ndarray, ndarray]:
        center, yaw = self.actor_poses(actor, times)
        return _turned(origins - center, -yaw), _turned(directions, -yaw)


def pose_matrices(position: ndarray, yaw: ndarray, pitch: ndarray, roll: ndarray) -> Float[ndarray, "n 4 4"]:
    """Return frames at `position` `[n, 3]`.

    They are turned by roll about x, then pitch about y, then yaw about z (rad).
    """
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(a), np.sin(a)) for a in (yaw, pitch, roll))
    matrices = np.zeros((len(position), 4, 4))
    matrices[:, 0, :3] = np.stack([cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr], axis=1)
    matrices[:, 1, :3] = np.stack([sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr], axis=1)
    matrices[:, 2, :3] = np.stack([-sp, cp * sr, cp * cr], axis=1)
    matrices[:, :3, 3] = position
    matrices[:, 3, 3] = 1.0
    return matrices


def dot(a: ndarray, b: ndarray) -> ndarray:
    """Return the scalar products `[n]` of vectors `[n, 3]`; this is much faster than a sum over the short axis."""
    return a[:, 0] * b[:, 0] + a[:, 1] * b[:, 1] + a[:, 2] * b[:, 2]


def _turned(vectors: ndarray, yaw: ndarray) -> ndarray:
    """Return vectors `[n, 3]`, each turned about z by its own angle."""
    c, s = np.cos(yaw), np.sin(yaw)
    x, y = vectors[:, 0], vectors[:, 1]
    return np.stack([c * x - s * y, s * x + c * y, vectors[:, 2]], axis=1)
