"""This module builds level ground from polygons, and painted lines from paths."""

import mapbox_earcut
import numpy as np
import shapely
import trimesh
from jaxtyping import Float
from numpy import ndarray
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from .materials import Material, material
from .mesh import Mesh, Triple, from_triangles
from .paths import Path

MARKING_HEIGHT = 0.004
"""Height of paint over the road, metres."""
_RIBBON_STEP = 1.5


def triangles(geometry: BaseGeometry) -> tuple[Float[ndarray, "v 2"], ndarray]:
    """Return vertices (m) and counter-clockwise triangles `[f, 3]` that cover the polygons of a geometry."""
    vertices, faces, count = [np.zeros((0, 2))], [np.zeros((0, 3), np.int64)], 0
    for part in shapely.get_parts(geometry):
        if not isinstance(part, Polygon) or part.area < 1e-4:
            continue
        part = shapely.geometry.polygon.orient(part)
        rings = [shapely.get_coordinates(ring)[:-1] for ring in (part.exterior, *part.interiors)]
        points = np.concatenate(rings)
        found = mapbox_earcut.triangulate_float64(points, np.cumsum([len(ring) for ring in rings], dtype=np.uint32))
        faces.append(_upwards(points, found.reshape(-1, 3).astype(np.int64)) + count)
        vertices.append(points)
        count += len(points)
    return np.concatenate(vertices), np.concatenate(faces)


def level(geometry: BaseGeometry, height: float, look: Material, color: Triple | None = None) -> list[Mesh]:
    """Build level ground that faces up; the list is empty where the geometry is."""
    vertices, faces = triangles(geometry)
    if not len(faces):
        return []
    return [from_triangles(np.column_stack([vertices, np.full(len(vertices), height)]), faces, look, color)]


def mounds(rng: np.random.Generator, geometry: BaseGeometry, height: float, rise: float, look: Material) -> list[Mesh]:
    """Build ground that rises and falls by about `rise` metres, and is level at its edge."""
    vertices, faces = triangles(geometry)
    if not len(faces):
        return []
    flat = np.column_stack([vertices, np.zeros(len(vertices))])
    fine, faces = trimesh.remesh.subdivide_to_size(flat, faces, max_edge=4.0, max_iter=12)
    # Each triangle is divided by itself, so corners that meet are merged again.
    fine, index = np.unique(np.round(fine[:, :2], 4), axis=0, return_inverse=True)
    edge = shapely.distance(shapely.points(fine), geometry.boundary)
    waves = sum(
        np.sin(fine @ np.array([np.cos(a), np.sin(a)]) / s + p)
        for a, s, p in zip(rng.uniform(0, np.pi, 3), rng.uniform(4, 9, 3), rng.uniform(0, 6, 3))
    )
    z = height + rise * np.clip(edge / 6, 0, 1) * np.clip(0.6 + waves / 3, 0, None)
    faces = _upwards(fine, index.reshape(-1)[faces])
    return [from_triangles(np.column_stack([fine, z]), faces, look, smooth=True)]


def upright(geometry: BaseGeometry, bottom: float, top: float, look: Material) -> list[Mesh]:
    """Build walls that stand on the edges of polygons and face outwards."""
    parts = []
    for part in shapely.get_parts(geometry):
        part = shapely.geometry.polygon.orient(part)
        for ring in (part.exterior, *part.interiors):
            points = shapely.get_coordinates(ring)[:-1]
            n = len(points)
            vertices = np.concatenate([np.column_stack([points, np.full(n, z)]) for z in (bottom, top)])
            a = np.arange(n)
            b = (a + 1) % n
            faces = np.concatenate([np.stack([a, b, b + n], 1), np.stack([a, b + n, a + n], 1)])
            parts.append(from_triangles(vertices, faces, look))
    return parts


class Paint:
    """`Paint` collects lines and bars on the road, and makes one mesh of them."""

    def __init__(self) -> None:
        self._vertices: list[ndarray] = []
        self._faces: list[ndarray] = []
        self._colors: list[ndarray] = []
        self._count = 0

    def ribbon(self, path: Path, start: float, stop: float, left: float, right: float, color: Triple) -> None:
        """Paint along a path from `start` to `stop` (m), between two distances to its left (m; right is negative)."""
        if stop - start < 0.05:
            return
        poses = path.at(np.linspace(start, stop, max(int((stop - start) / _RIBBON_STEP), 1) + 1))
        across = np.stack([-np.sin(poses[:, 2]), np.cos(poses[:, 2])], axis=1)
        n = len(poses)
        vertices = np.concatenate([poses[:, :2] + right * across, poses[:, :2] + left * across])
        a = np.arange(n - 1)
        faces = np.concatenate([np.stack([a, a + 1, a + n + 1], 1), np.stack([a, a + n + 1, a + n], 1)])
        self._add(vertices, faces, color)

    def dashes(
        self, path: Path, start: float, stop: float, offset: float, color: Triple, dash: float, gap: float
    ) -> None:
        """Paint a broken line of 12 cm, `offset` metres left of a path."""
        for at in np.arange(start, stop - dash, dash + gap):
            self.ribbon(path, at, at + dash, offset + 0.06, offset - 0.06, color)

    def bar(self, start: ndarray, end: ndarray, width: float, color: Triple) -> None:
        """Paint a straight bar between two points (m)."""
        along = (end - start) / np.linalg.norm(end - start)
        side = 0.5 * width * np.array([-along[1], along[0]])
        vertices = np.stack([start - side, end - side, end + side, start + side])
        self._add(vertices, np.array([[0, 1, 2], [0, 2, 3]]), color)

    def area(self, geometry: BaseGeometry, color: Triple) -> None:
        """Paint whole polygons."""
        vertices, faces = triangles(geometry)
        self._add(vertices, faces, color)

    def mesh(self, height: float = MARKING_HEIGHT) -> list[Mesh]:
        """Return all paint; the list is empty where there is none."""
        if not self._count:
            return []
        vertices, faces = np.concatenate(self._vertices), np.concatenate(self._faces)
        vertices = np.column_stack([vertices, np.full(len(vertices), height)])
        mesh = from_triangles(vertices, faces, material("road_marking"))
        mesh.colors[:] = np.concatenate(self._colors)
        return [mesh]

    def _add(self, vertices: ndarray, faces: ndarray, color: Triple) -> None:
        a, b, c = (vertices[faces[:, k]] for k in range(3))
        # What has no area is left out of a mesh, and its colour must be too.
        faces = faces[np.abs(np.cross(b - a, c - a)) > 1e-9]
        self._vertices.append(vertices)
        self._faces.append(faces + self._count)
        self._colors.append(np.repeat(np.asarray(color, np.float32)[None], len(faces), axis=0))
        self._count += len(vertices)


def _upwards(points: ndarray, faces: ndarray) -> ndarray:
    """Return triangles that are counter-clockwise seen from above."""
    a, b, c = (points[faces[:, k]] for k in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    return np.where(area[:, None] < 0, faces[:, ::-1], faces)
