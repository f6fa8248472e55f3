"""This module makes triangles with a look, and the one shape they are built from: a skin over a row of rings."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import trimesh
from jaxtyping import Float
from numpy import ndarray

from .materials import MATERIALS, Material

Triple = Sequence[float] | ndarray
"""Three numbers: x, y, z or linear red, green, blue."""


@dataclass(frozen=True)
class Mesh:
    """A `Mesh` is a set of triangles, each with a material and a colour of its own."""

    vertices: ndarray
    """`[v, 3]` positions (m)."""
    faces: ndarray
    """`[f, 3]` vertices of each triangle, counter-clockwise seen from outside."""
    normals: ndarray
    """`[f, 3, 3]` unit normals at the three corners; the same three times where the surface is flat."""
    uv: ndarray
    """`[f, 3, 2]` texture coordinates at the three corners; zero for textures that go by place."""
    colors: ndarray
    """`[f, 3]` colours in linear RGB."""
    materials: ndarray
    """`[f]` numbers of a `Material`."""

    def moved(self, offset: Triple = (0.0, 0.0, 0.0), yaw: float = 0.0) -> "Mesh":
        """Return the mesh turned about z by `yaw` (rad) and then shifted by `offset` (m)."""
        c, s = np.cos(yaw), np.sin(yaw)
        turn = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
        vertices = self.vertices @ turn + np.asarray(offset, dtype=np.float64)
        return Mesh(vertices, self.faces, (self.normals @ turn).astype(np.float32), *self._look())

    def fitted(self, low: Triple, high: Triple) -> "Mesh":
        """Return the mesh stretched axis by axis until its bounds are `low` and `high` (m)."""
        lower, upper = self.vertices.min(axis=0), self.vertices.max(axis=0)
        scale = (np.asarray(high) - np.asarray(low)) / (upper - lower)
        return self.stretched(scale, np.asarray(low) - lower * scale)

    def stretched(self, scale: ndarray, offset: ndarray) -> "Mesh":
        """Return the mesh with its coordinates times `scale` `[3]` plus `offset` `[3]` (m)."""
        normals = self.normals / scale.astype(np.float32)
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
        return Mesh(self.vertices * scale + offset, self.faces, normals, *self._look())

    def swung(self, angle: float, offset: Triple = (0.0, 0.0, 0.0)) -> "Mesh":
        """Return the mesh turned about y, so that what hangs down swings forward by `angle` (rad), and then shifted."""
        c, s = np.cos(angle), np.sin(angle)
        turn = np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
        vertices = self.vertices @ turn + np.asarray(offset, dtype=np.float64)
        return Mesh(vertices, self.faces, (self.normals @ turn).astype(np.float32), *self._look())

    def _look(self) -> tuple[ndarray, ndarray, ndarray]:
        return self.uv, self.colors, self.materials


def merged(meshes: Sequence[Mesh]) -> Mesh:
    """Return all triangles in one mesh.

    Raises:
        ValueError: for no mesh at all.
    """
    if not meshes:
        raise ValueError("merged: needs at least one mesh")
    starts = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
    return Mesh(
        np.concatenate([m.vertices for m in meshes]),
        np.concatenate([m.faces + start for m, start in zip(meshes, starts)]).astype(np.int32),
        np.concatenate([m.normals for m in meshes]),
        np.concatenate([m.uv for m in meshes]),
        np.concatenate([m.colors for m in meshes]),
        np.concatenate([m.materials for m in meshes]),
    )


def from_triangles(
    vertices: Float[ndarray, "v 3"],
    faces: ndarray,
    material: Material,
    color: Triple | None = None,
    smooth: bool = False,
    uv: ndarray | None = None,
) -> Mesh:
    """Build a mesh of one material; with `smooth`, the triangles at a vertex share one normal."""
    vertices, faces = np.asarray(vertices, dtype=np.float64), np.asarray(faces, dtype=np.int32)
    corner = vertices[faces]
    flat = _cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    keep = np.square(flat).sum(axis=1) > 1e-24
    faces, flat = faces[keep], flat[keep]
    if smooth:
        shared = np.zeros_like(vertices)
        for corner in range(3):
            np.add.at(shared, faces[:, corner], flat)
        normals = shared[faces]
    else:
        normals = np.repeat(flat[:, None], 3, axis=1)
    normals = normals / np.sqrt(np.square(normals).sum(axis=-1, keepdims=True)).clip(1e-12)
    uv = np.zeros((len(faces), 3, 2)) if uv is None else uv[keep]
    paint = np.asarray(material.color if color is None else color, dtype=np.float32)
    return Mesh(
        vertices,
        faces,
        normals.astype(np.float32),
        uv.astype(np.float32),
        np.broadcast_to(paint, (len(faces), 3)).copy(),
        np.full(len(faces), material.number, dtype=np.uint8),
    )


def loft(
    rings: Float[ndarray, "k n 3"],
    material: Material,
    color: Triple | None = None,
    smooth: bool = False,
    capped: bool = True,
) -> Mesh:
    """Build a closed skin over `k` rings of `n` points; rings turn counter-clockwise seen from the last one.

    The two ends are flat lids. Each is a fan from its middle, so the end rings must be star-shaped.
    """
    rings = np.asarray(rings, dtype=np.float64)
    k, n, _ = rings.shape
    index = np.arange(k * n).reshape(k, n)
    turned = index[:, [*range(1, n), 0]]
    a, b, c, d = index[:-1], turned[:-1], turned[1:], index[1:]
    sides = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    parts = [from_triangles(rings.reshape(-1, 3), sides, material, color, smooth)]
    if capped:
        fan = np.stack([np.full(n, n), index[0], turned[0]], axis=1)
        for ring, faces in ((rings[-1], fan), (rings[0], fan[:, [0, 2, 1]])):
            if np.ptp(ring, axis=0).max() > 1e-9:
                lid = np.concatenate([ring, ring.mean(axis=0, keepdims=True)])
                parts.append(from_triangles(lid, faces, material, color))
    return merged(parts)


def box(low: Triple, high: Triple, material: Material, color: Triple | None = None) -> Mesh:
    """Build a box along the axes between two corners (m)."""
    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    unit = _unit_box()
    paint = np.asarray(material.color if color is None else color, dtype=np.float32)
    return Mesh(
        low + unit.vertices * (high - low),
        unit.faces,
        unit.normals,
        unit.uv,
        np.repeat(paint[None], len(unit.faces), axis=0),
        np.full(len(unit.faces), material.number, dtype=np.uint8),
    )


def tube(
    start: Triple,
    end: Triple,
    radius: float | tuple[float, float],
    material: Material,
    color: Triple | None = None,
    sides: int = 8,
) -> Mesh:
    """Build a round bar from `start` to `end`; two radii make it taper."""
    start, end = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
    first, last = radius if isinstance(radius, tuple) else (radius, radius)
    length = np.sqrt(np.square(end - start).sum())
    axis = (end - start) / length
    helper = np.array([1.0, 0.0, 0.0]) if abs(axis[0]) < 0.7 else np.array([0.0, 1.0, 0.0])
    across = _cross(axis, helper)
    across /= np.sqrt(np.square(across).sum())
    cosine, sine, faces, corners = _unit_tube(sides)
    circle = cosine * across + sine * _cross(axis, across)
    vertices = np.concatenate([start + first * circle, end + last * circle, start[None], end[None]])
    outward = (length * circle + (first - last) * axis) / np.hypot(length, first - last)
    normals = np.concatenate([outward, -axis[None], axis[None]]).astype(np.float32)[corners]
    paint = np.asarray(material.color if color is None else color, dtype=np.float32)
    return Mesh(
        vertices,
        faces,
        normals,
        np.zeros((len(faces), 3, 2), np.float32),
        np.repeat(paint[None], len(faces), axis=0),
        np.full(len(faces), material.number, dtype=np.uint8),
    )


def ball(
    center: Triple,
    radii: Triple,
    material: Material,
    color: Triple | None = None,
    roughness: float = 0.0,
    rng: np.random.Generator | None = None,
    detail: int = 2,
) -> Mesh:
    """Build an ellipsoid; `roughness` pushes its vertices in and out by that share of the radius, drawn from `rng`."""
    vertices, faces = _unit_ball(detail)
    if roughness and rng is not None:
        vertices = vertices * (1 + roughness * rng.uniform(-1, 1, (len(vertices), 1)))
    return from_triangles(vertices * np.asarray(radii) + np.asarray(center), faces, material, color, smooth=True)


def flat(outline: Float[ndarray, "n 2"], height: float, material: Material, color: Triple | None = None) -> Mesh:
    """Build a level convex polygon that faces up; its outline is counter-clockwise."""
    vertices = np.column_stack([outline, np.full(len(outline), height)])
    fan = np.stack([np.zeros(len(outline) - 2, int), np.arange(1, len(outline) - 1), np.arange(2, len(outline))], 1)
    return from_triangles(vertices, fan, material, color)


def stations(
    rows: Sequence[tuple[float, float, float, float]],
    material: Material,
    color: Triple | None = None,
    bevel: float = 0.12,
    smooth: bool = False,
) -> Mesh:
    """Build a hull along x from cross-sections with bevelled corners.

    Args:
        rows: x, half width, bottom and top (m) of each cross-section.
    """
    rings = []
    for x, half, bottom, top in rows:
        cut = min(bevel, 0.45 * (top - bottom), 0.9 * half)
        points = [
            (half - cut, bottom),
            (half, bottom + cut),
            (half, top - cut),
            (half - cut, top),
            (cut - half, top),
            (-half, top - cut),
            (-half, bottom + cut),
            (cut - half, bottom),
        ]
        rings.append([[x, y, z] for y, z in points])
    return loft(np.array(rings), material, color, smooth)


def _cross(a: ndarray, b: ndarray) -> ndarray:
    """Return what `np.cross` returns, which is slow on the small arrays that this module lives on."""
    x, y, z = a[..., 0], a[..., 1], a[..., 2]
    u, v, w = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([y * w - z * v, z * u - x * w, x * v - y * u], axis=-1)


@cache
def _unit_box() -> Mesh:
    ring = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    return loft(np.array([[[*p, z] for p in ring] for z in (0.0, 1.0)]), MATERIALS[0])


@cache
def _unit_tube(sides: int) -> tuple[ndarray, ndarray, ndarray, ndarray]:
    """Return cosines and sines `[n, 1]` of a ring, the faces of a tube with its lids, and the normal of each corner.

    Normals are numbered: those of the ring, then the first and the second lid's.
    """
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)[:, None]
    a, b = np.arange(sides), (np.arange(sides) + 1) % sides
    low, high = np.full(sides, 2 * sides), np.full(sides, 2 * sides + 1)
    around = [np.stack([a, b, b + sides], 1), np.stack([a, b + sides, a + sides], 1)]
    lids = [np.stack([high, a + sides, b + sides], 1), np.stack([low, b, a], 1)]
    faces = np.concatenate([*around, *lids]).astype(np.int32)
    flat = [np.full((sides, 3), sides + 1), np.full((sides, 3), sides)]
    corners = np.concatenate([*(part % sides for part in around), *flat])
    return np.cos(angle), np.sin(angle), faces, corners


@cache
def _unit_ball(detail: int) -> tuple[ndarray, ndarray]:
    sphere = trimesh.creation.icosphere(subdivisions=detail)
    return np.asarray(sphere.vertices), np.asarray(sphere.faces, dtype=np.int32)
