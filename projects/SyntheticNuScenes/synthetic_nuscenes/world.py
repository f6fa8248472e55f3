"""One scene: a town, its weather, its actors and the drive through it; answers what a ray hits at what time."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from jaxtyping import Float

from .actors import Actor
from .casting import Caster
from .mesh import Mesh, merged
from .paths import Along
from .town import Town
from .weather import Weather

NOTHING, STATIC = -1, 0
"""Bodies in `WorldHits` that are no actors; actor k is body k + 1."""


class WorldHits(NamedTuple):
    """What `n` rays hit first."""

    distance: ndarray
    """`[n]` metres, inf for the sky."""
    body: ndarray
    """`[n]` `NOTHING`, `STATIC` or the number of an actor plus one."""
    face: ndarray
    """`[n]` triangle of that body."""
    weights: ndarray
    """`[n, 2]` of the second and third corner of that triangle."""


class Surfaces(NamedTuple):
    """What is at the hits of `n` rays, in the frame of the body that was hit."""

    material: ndarray
    colour: ndarray
    normal: ndarray
    """`[n, 3]` smooth normal in the world, on the side that the ray came from."""
    place: ndarray
    uv: ndarray


@dataclass
class World:
    """A scene between the times `begin` and `end` (s); the world frame has z up and the streets at z = 0."""

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
        """Ego frame (x forward, origin on the street) to world; the body pitches and rolls a little."""
        x, y, yaw = self.ego.at(times).T
        pitch = np.deg2rad(0.25) * np.sin(2 * np.pi * 0.9 * times + 1.0)
        roll = np.deg2rad(0.3) * np.sin(2 * np.pi * 0.6 * times)
        return pose_matrices(np.stack([x, y, np.zeros_like(x)], axis=1), yaw, pitch, roll)

    def actor_poses(self, actor: int, times: Float[ndarray, " n"]) -> tuple[ndarray, ndarray]:
        """Middle of an actor's box `[n, 3]` and its yaw `[n]`."""
        x, y, yaw = self.actors[actor].motion.at(times).T
        return np.stack([x, y, np.full_like(x, self.actors[actor].height)], axis=1), yaw

    def cast(
        self, origins: Float[ndarray, "n 3"], directions: Float[ndarray, "n 3"], times: Float[ndarray, " n"]
    ) -> tuple[WorldHits, ndarray]:
        """What each ray hits at its own time.

        Every actor is met in its own frame, so motion between rays is exact.

        Args:
            origins: metres, world.
            directions: unit vectors, world.
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
            centres, _ = self.actor_poses(k, spans)
            reach = actor.radius + spread + np.linalg.norm(centres[2] - centres[0])
            towards = centres[1] - start
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
        """What is at the hits of rays that hit something."""
        n = len(origins)
        material, colour = np.zeros(n, np.uint8), np.zeros((n, 3), np.float32)
        normal, uv = np.zeros((n, 3), np.float32), np.zeros((n, 2), np.float32)
        place = origins + hits.distance[:, None] * directions
        for body in np.flatnonzero(np.bincount(hits.body)).tolist():
            rays = np.flatnonzero(hits.body == body)
            mesh = self.scenery if body == STATIC else self.actors[body - 1].mesh
            face = hits.face[rays]
            second, third = hits.weights[rays].T
            share = ((1 - second - third)[:, None], second[:, None], third[:, None])
            material[rays], colour[rays] = mesh.materials[face], mesh.colours[face]
            if body == STATIC:
                # Nothing that moves has a texture that needs coordinates.
                uv[rays] = sum(mesh.uv[face, k] * share[k] for k in range(3))
            local = sum(mesh.normals[face, k] * share[k] for k in range(3))
            if body != STATIC:
                centre, yaw = self.actor_poses(body - 1, times[rays])
                local = _turned(local, yaw)
                place[rays] = _turned(place[rays] - centre, -yaw)
            normal[rays] = local
        length = np.sqrt(dot(normal, normal)).clip(1e-6)
        normal *= np.where(dot(normal, directions) > 0, -1 / length, 1 / length)[:, None].astype(np.float32)
        return Surfaces(material, colour, normal, place, uv)

    def actors_at(self, time: float) -> Caster:
        """All actors where they are at one time (s); for shadows."""
        moved = []
        for k, actor in enumerate(self.actors):
            centre, yaw = self.actor_poses(k, np.array([time]))
            moved.append(actor.mesh.moved(centre[0], float(yaw[0])))
        together = merged(moved)
        return Caster(together.vertices, together.faces)

    @property
    def static(self) -> Caster:
        """The scenery alone."""
        return self._static

    def _into_frame(self, actor: int, origins: ndarray, directions: ndarray, times: ndarray) -> tuple[ndarray, ndarray]:
        centre, yaw = self.actor_poses(actor, times)
        return _turned(origins - centre, -yaw), _turned(directions, -yaw)


def pose_matrices(position: ndarray, yaw: ndarray, pitch: ndarray, roll: ndarray) -> Float[ndarray, "n 4 4"]:
    """Frames at `position` `[n, 3]`, turned by roll about x, then pitch about y, then yaw about z (rad)."""
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(a), np.sin(a)) for a in (yaw, pitch, roll))
    matrices = np.zeros((len(position), 4, 4))
    matrices[:, 0, :3] = np.stack([cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr], axis=1)
    matrices[:, 1, :3] = np.stack([sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr], axis=1)
    matrices[:, 2, :3] = np.stack([-sp, cp * sr, cp * cr], axis=1)
    matrices[:, :3, 3] = position
    matrices[:, 3, 3] = 1.0
    return matrices


def dot(a: ndarray, b: ndarray) -> ndarray:
    """Products of vectors `[n, 3]`, `[n]`; much faster than a sum over the short axis."""
    return a[:, 0] * b[:, 0] + a[:, 1] * b[:, 1] + a[:, 2] * b[:, 2]


def _turned(vectors: ndarray, yaw: ndarray) -> ndarray:
    """Vectors `[n, 3]` turned about z by an angle each."""
    c, s = np.cos(yaw), np.sin(yaw)
    x, y = vectors[:, 0], vectors[:, 1]
    return np.stack([c * x - s * y, s * x + c * y, vectors[:, 2]], axis=1)
