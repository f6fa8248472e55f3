"""This module joins a town, its weather, its actors and the drive through it; it tells what a ray hits at what time."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from .geometry.casting import BodyCaster, Caster
from .geometry.mesh import Mesh
from .geometry.paths import Along
from .light.weather import Weather
from .moment import STATIC, Moment, WorldHits, closer, first_world_hits
from .objects.gait import GaitMesh
from .town.town import Town
from .traffic.actors import Actor

SEEN_UP_TO = 150.0
"""Distance (m) beyond which actors are not drawn."""


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

    Its frame has z up and the streets at z = 0. What rests shares one caster with the scenery; what moves is met in
    its own frame.
    """

    town: Town
    weather: Weather
    scenery: Mesh
    actors: list[Actor]
    ego: Along
    begin: float
    end: float
    lamps: ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    """`[l, 3]` where the heads of street lamps are (m)."""

    def __post_init__(self) -> None:
        self._moving = [k for k, actor in enumerate(self.actors) if actor.moves]
        resting = [k for k, actor in enumerate(self.actors) if not actor.moves]
        meshes = [(self.scenery.vertices, self.scenery.faces)]
        now = np.array([self.begin])
        meshes += [(self._placed(k, now), self.actors[k].mesh.faces) for k in resting]
        self._resting = BodyCaster([STATIC, *(k + 1 for k in resting)], meshes)
        self._own: dict[tuple[int, int], Caster] = {}
        self._radius = np.array([actor.radius for actor in self.actors])

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
        return np.stack([x, y, self.actors[actor].heights(times)], axis=1), yaw

    def limb_poses(self, actor: int, times: Float[ndarray, " n"]) -> ndarray:
        """Return which pose of its gait an actor takes, `[n]`; 0 for what stands and what has no limbs."""
        who = self.actors[actor]
        if not (isinstance(who.mesh, GaitMesh) and isinstance(who.motion, Along)):
            return np.zeros(len(times), np.int64)
        gone = [np.interp(times + shift, who.motion.times, who.motion.distances) for shift in (-0.05, 0.0, 0.05)]
        return who.mesh.pose_numbers(gone[1], (gone[2] - gone[0]) / 0.1)

    def mesh_of(self, actor: int, pose: int = 0) -> Mesh:
        """Return the look of an actor in a pose of its gait."""
        mesh = self.actors[actor].mesh
        return mesh.poses[pose] if isinstance(mesh, GaitMesh) else mesh

    def at(self, time: float) -> Moment:
        """Return the world at one time (s)."""
        now = np.array([time])
        start = self.ego.at(now)[0, :2]
        near = [
            k
            for k in self._moving
            if np.hypot(*(self.actors[k].motion.at(now)[0, :2] - start)) < SEEN_UP_TO + self._radius[k]
        ]
        meshes = [(self._placed(k, now), self.actors[k].mesh.faces) for k in near]
        return Moment(time, self._resting, BodyCaster([k + 1 for k in near], meshes))

    def cast(
        self, origins: Float[ndarray, "n 3"], directions: Float[ndarray, "n 3"], times: Float[ndarray, " n"]
    ) -> WorldHits:
        """Return what each ray hits at its own time.

        Every moving actor is met in its own frame, so motion between rays is exact.

        Args:
            origins: metres, in the world.
            directions: unit vectors, in the world.
            times: seconds.
        """
        hits = first_world_hits(self._resting, origins, directions)
        for k, near in self._rays_near(np.array(self._moving, np.int64), origins, directions, times):
            for pose, rays in self._by_pose(k, near, times):
                found = self._own_caster(k, pose).first_hits(
                    *self._into_frame(k, origins[rays], directions[rays], times[rays])
                )
                hits = closer(hits, rays, found, np.full(len(rays), k + 1, np.int32))
        return hits

    def count_alone(
        self,
        origins: Float[ndarray, "n 3"],
        directions: Float[ndarray, "n 3"],
        times: Float[ndarray, " n"],
        most: int = 4000,
    ) -> Float[ndarray, " actors"]:
        """Return for each actor how many of the rays would meet it if nothing were in the way.

        Where more than `most` rays come near an actor, every other one or fewer are cast, and their share is counted.
        """
        alone = np.zeros(len(self.actors))
        for k, near in self._rays_near(np.arange(len(self.actors)), origins, directions, times):
            # An odd step meets all columns of an image of even width.
            step = 1 if len(near) <= most else len(near) // most | 1
            for pose, rays in self._by_pose(k, near[::step], times):
                found = self._own_caster(k, pose).first_hits(
                    *self._into_frame(k, origins[rays], directions[rays], times[rays])
                )
                alone[k] += np.count_nonzero(found.face >= 0) * step
        return alone

    def surfaces(self, hits: WorldHits, origins: ndarray, directions: ndarray, times: ndarray) -> Surfaces:
        """Return what is at the hits of rays, all of which must have hit something."""
        n = len(origins)
        material, color = np.empty(n, np.uint8), np.empty((n, 3), np.float32)
        normal, uv = np.empty((n, 3), np.float32), np.zeros((n, 2), np.float32)
        place = origins + hits.distance[:, None] * directions
        order = np.argsort(hits.body, kind="stable")
        bodies, starts = np.unique(hits.body[order], return_index=True)
        for body, rays in zip(bodies.tolist(), np.split(order, starts[1:])):
            if body == STATIC:
                face, share = hits.face[rays], _shares(hits.weights[rays])
                material[rays], color[rays] = self.scenery.materials[face], self.scenery.colors[face]
                # Nothing that moves has a texture that needs coordinates.
                uv[rays] = sum(self.scenery.uv[face, k] * share[k] for k in range(3))
                normal[rays] = sum(self.scenery.normals[face, k] * share[k] for k in range(3))
                continue
            center, yaw = self.actor_poses(body - 1, times[rays])
            place[rays] = _turned(place[rays] - center, -yaw)
            for pose, some in self._by_pose(body - 1, rays, times):
                mesh = self.mesh_of(body - 1, pose)
                face, share = hits.face[some], _shares(hits.weights[some])
                material[some], color[some] = mesh.materials[face], mesh.colors[face]
                normal[some] = sum(mesh.normals[face, k] * share[k] for k in range(3))
            normal[rays] = _turned(normal[rays], yaw)
        length = np.sqrt(dot(normal, normal)).clip(1e-6)
        normal *= np.where(dot(normal, directions) > 0, -1 / length, 1 / length)[:, None].astype(np.float32)
        return Surfaces(material, color, normal, place, uv)

    def _placed(self, actor: int, now: ndarray) -> ndarray:
        """Return the vertices of an actor at one time, in the world."""
        center, yaw = self.actor_poses(actor, now)
        mesh = self.mesh_of(actor, int(self.limb_poses(actor, now)[0]))
        return _turned(mesh.vertices, yaw) + center

    def _by_pose(self, actor: int, rays: ndarray, times: ndarray) -> list[tuple[int, ndarray]]:
        """Return the poses that an actor takes at the times of some rays, each with those rays."""
        if not isinstance(self.actors[actor].mesh, GaitMesh):
            return [(0, rays)]
        poses = self.limb_poses(actor, times[rays])
        return [(int(pose), rays[poses == pose]) for pose in np.unique(poses)]

    def _own_caster(self, actor: int, pose: int) -> Caster:
        """Return the caster of an actor in its own frame; it is made when it is first needed."""
        if (actor, pose) not in self._own:
            mesh = self.mesh_of(actor, pose)
            self._own[actor, pose] = Caster(mesh.vertices, mesh.faces)
        return self._own[actor, pose]

    def _rays_near(
        self, actors: ndarray, origins: ndarray, directions: ndarray, times: ndarray
    ) -> list[tuple[int, ndarray]]:
        """Return for each of some actors the rays that come near it, for those that any comes near."""
        if len(origins) == 0 or len(actors) == 0:
            return []
        spans = np.array([times.min(), 0.5 * (times.min() + times.max()), times.max()])
        centers = np.stack([self.actor_poses(k, spans)[0] for k in actors.tolist()])
        start = origins.mean(axis=0)
        spread = float(np.abs(origins - start).max()) * 2
        reach = self._radius[actors] + spread + np.linalg.norm(centers[:, 2] - centers[:, 0], axis=1)
        towards = centers[:, 1] - start
        away = np.linalg.norm(towards, axis=1)
        inside = away <= reach
        half = np.where(inside, np.pi, np.arcsin(np.clip(reach / away.clip(1e-9), 0, 1)))
        towards = towards / away.clip(1e-9)[:, None]
        # The cone around all rays: whatever is outside it needs no look at each ray.
        axis = directions.mean(axis=0)
        axis /= max(np.linalg.norm(axis), 1e-9)
        single = directions.astype(np.float32)
        widest = np.arccos(np.clip((single @ axis.astype(np.float32)).min() - 1e-4, -1, 1))
        angle = np.arccos(np.clip(towards @ axis, -1, 1))
        met = []
        for i in np.flatnonzero((away < SEEN_UP_TO + reach) & (angle < widest + half)).tolist():
            if inside[i]:
                met.append((int(actors[i]), np.arange(len(origins))))
                continue
            rays = np.flatnonzero(single @ towards[i].astype(np.float32) > np.cos(half[i]) - 1e-5)
            if len(rays):
                met.append((int(actors[i]), rays))
        return met

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


def _shares(weights: ndarray) -> tuple[ndarray, ndarray, ndarray]:
    """Return the weights of all three corners, as columns."""
    second, third = weights.T
    return (1 - second - third)[:, None], second[:, None], third[:, None]


def _turned(vectors: ndarray, yaw: ndarray) -> ndarray:
    """Return vectors `[n, 3]`, each turned about z by its own angle."""
    c, s = np.cos(yaw), np.sin(yaw)
    x, y = vectors[:, 0], vectors[:, 1]
    return np.stack([c * x - s * y, s * x + c * y, vectors[:, 2]], axis=1)
