"""This module finds first hits of rays on triangles: with Embree, and with the plain numpy method that checks it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh
from jaxtyping import Bool, Float
from numpy import ndarray


class Hits(NamedTuple):
    """`Hits` are the first triangles that `n` rays hit."""

    distance: ndarray
    """`[n]` distance along the unit direction (m), inf where nothing is hit."""
    face: ndarray
    """`[n]` number of the triangle, -1 where nothing is hit."""
    weights: ndarray
    """`[n, 2]` weights of the triangle's second and third corner."""


class Caster:
    """A `Caster` holds triangles and casts rays at them with Embree.

    Args:
        vertices: `[v, 3]` metres; Embree keeps them in float32, so coordinates are best below a kilometre.
        faces: `[f, 3]` vertices of each triangle.
    """

    def __init__(self, vertices: ndarray, faces: ndarray) -> None:
        self._scene = rtcore_scene.EmbreeScene()
        # The mesh lives as long as the scene it was put in.
        self._mesh = TriangleMesh(
            self._scene, np.ascontiguousarray(vertices, np.float32), np.ascontiguousarray(faces, np.int32)
        )

    def first_hits(self, origins: Float[ndarray, "n 3"], directions: Float[ndarray, "n 3"]) -> Hits:
        """Return the first triangle on each ray; directions must be unit vectors."""
        if len(origins) == 0:
            return Hits(np.zeros(0, np.float32), np.zeros(0, np.int32), np.zeros((0, 2), np.float32))
        found = self._scene.run(_float32(origins), _float32(directions), output=True)
        face = found["primID"].astype(np.int32)
        distance = np.where(face >= 0, found["tfar"], np.float32(np.inf))
        return Hits(distance, face, np.stack([found["u"], found["v"]], axis=1))

    def occluded(
        self, origins: Float[ndarray, "n 3"], directions: Float[ndarray, "n 3"], reach: float | ndarray = 1e30
    ) -> Bool[ndarray, " n"]:
        """Return whether anything is on each ray within `reach` metres, one number or `[n]`."""
        if len(origins) == 0:
            return np.zeros(0, bool)
        far = np.broadcast_to(reach, len(origins)).astype(np.float32)
        return self._scene.run(_float32(origins), _float32(directions), far, query="OCCLUDED") != -1


class BodyCaster:
    """A `BodyCaster` casts rays at several bodies in one Embree scene, and tells which body was hit.

    Args:
        bodies: number of each body.
        meshes: vertices `[v, 3]` (m) and faces `[f, 3]` of each body, all in one frame.
    """

    def __init__(self, bodies: Sequence[int], meshes: Sequence[tuple[ndarray, ndarray]]) -> None:
        self._bodies = np.array(bodies, np.int32)
        counts = [len(faces) for _, faces in meshes]
        self._starts = np.cumsum([0, *counts])[:-1].astype(np.int32)
        self._caster = None
        if sum(counts):
            corners = np.cumsum([0, *(len(vertices) for vertices, _ in meshes)])
            faces = np.concatenate([faces + first for (_, faces), first in zip(meshes, corners)])
            self._caster = Caster(np.concatenate([vertices for vertices, _ in meshes]), faces)

    def first_hits(self, origins: Float[ndarray, "n 3"], directions: Float[ndarray, "n 3"]) -> tuple[Hits, ndarray]:
        """Return the first triangle on each ray, counted within its body, and the bodies `[n]`, -1 for none."""
        if self._caster is None:
            n = len(origins)
            none = np.full(n, -1, np.int32)
            return Hits(np.full(n, np.inf, np.float32), none, np.zeros((n, 2), np.float32)), none.copy()
        distance, face, weights = self._caster.first_hits(origins, directions)
        which = np.searchsorted(self._starts, face, side="right") - 1
        hit = face >= 0
        body = np.where(hit, self._bodies[which], -1).astype(np.int32)
        return Hits(distance, np.where(hit, face - self._starts[which], -1).astype(np.int32), weights), body

    def occluded(
        self, origins: Float[ndarray, "n 3"], directions: Float[ndarray, "n 3"], reach: float | ndarray = 1e30
    ) -> Bool[ndarray, " n"]:
        """Return whether anything is on each ray within `reach` metres, one number or `[n]`."""
        if self._caster is None:
            return np.zeros(len(origins), bool)
        return self._caster.occluded(origins, directions, reach)


def first_hits_reference(
    vertices: ndarray, faces: ndarray, origins: Float[ndarray, "n 3"], directions: Float[ndarray, "n 3"]
) -> Hits:
    """Return what `Caster.first_hits` returns, computed in float64 and ray by ray.

    It implements the intersection of Möller and Trumbore (1997), and the tests compare Embree with it.
    """
    corner = np.asarray(vertices, np.float64)[faces]
    start, edge1, edge2 = corner[:, 0], corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    distance, face = np.full(len(origins), np.inf), np.full(len(origins), -1, np.int32)
    weights = np.zeros((len(origins), 2))
    for k, (origin, direction) in enumerate(zip(np.asarray(origins, np.float64), np.asarray(directions, np.float64))):
        across = np.cross(direction, edge2)
        determinant = (edge1 * across).sum(axis=1)
        # Triangles seen edge-on give infinities, which no comparison below lets through.
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = 1.0 / determinant
            offset = origin - start
            u = (offset * across).sum(axis=1) * inverse
            turned = np.cross(offset, edge1)
            v = (turned @ direction) * inverse
            t = (edge2 * turned).sum(axis=1) * inverse
            valid = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 1e-9)
        if valid.any():
            best = np.argmin(np.where(valid, t, np.inf))
            distance[k], face[k], weights[k] = t[best], best, (u[best], v[best])
    return Hits(distance, face, weights)


def _float32(array: ndarray) -> ndarray:
    return np.ascontiguousarray(array, dtype=np.float32)
