"""First hits of rays on triangles: Embree, and the plain numpy method it is measured and tested against."""

from typing import NamedTuple

import numpy as np
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh
from numpy import ndarray

from jaxtyping import Bool, Float


class Hits(NamedTuple):
    """First hits of `n` rays."""

    distance: ndarray
    """`[n]` metres along the unit direction, inf where nothing is hit."""
    face: ndarray
    """`[n]` triangle, -1 where nothing is hit."""
    weights: ndarray
    """`[n, 2]` weights of the triangle's second and third corner."""


class Caster:
    """Triangles that rays can be cast at.

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
        """First triangle on each ray; directions are unit vectors."""
        if len(origins) == 0:
            return Hits(np.zeros(0, np.float32), np.zeros(0, np.int32), np.zeros((0, 2), np.float32))
        found = self._scene.run(_float32(origins), _float32(directions), output=True)
        face = found["primID"].astype(np.int32)
        distance = np.where(face >= 0, found["tfar"], np.float32(np.inf))
        return Hits(distance, face, np.stack([found["u"], found["v"]], axis=1))

    def occluded(
        self, origins: Float[ndarray, "n 3"], directions: Float[ndarray, "n 3"], reach: float = 1e30
    ) -> Bool[ndarray, " n"]:
        """Whether anything is on each ray within `reach` metres."""
        if len(origins) == 0:
            return np.zeros(0, bool)
        far = np.full(len(origins), reach, np.float32)
        return self._scene.run(_float32(origins), _float32(directions), far, query="OCCLUDED") != -1


def first_hits_reference(
    vertices: ndarray, faces: ndarray, origins: Float[ndarray, "n 3"], directions: Float[ndarray, "n 3"]
) -> Hits:
    """What `Caster.first_hits` gives, in float64 and ray by ray (Möller and Trumbore 1997)."""
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
