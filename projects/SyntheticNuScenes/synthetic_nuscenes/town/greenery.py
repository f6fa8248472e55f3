"""This module builds trees, hedges, lawns and the hills around the town."""

import numpy as np
from numpy import ndarray

from synthetic_nuscenes.geometry.materials import material
from synthetic_nuscenes.geometry.mesh import Mesh, ball, box, from_triangles, merged, tube

LEAF_COLORS = ((0.06, 0.135, 0.025), (0.085, 0.16, 0.03), (0.045, 0.1, 0.035), (0.15, 0.15, 0.03), (0.2, 0.1, 0.02))


def tree(rng: np.random.Generator, x: float, y: float, ground: float, height: float, season: ndarray) -> Mesh:
    """Build a tree of a trunk, three branches and a crown of leafy lumps; `season` (3 factors) tints the leaves."""
    trunk = 0.36 * height
    lean = rng.normal(0, 0.02 * height, 2)
    fork = np.array([x + lean[0], y + lean[1], ground + trunk])
    bark, leaves = material("bark"), material("leaves")
    parts = [tube((x, y, ground - 0.2), fork, (0.035 * height, 0.022 * height), bark)]
    color = np.array(LEAF_COLORS[rng.choice(5, p=[0.35, 0.3, 0.23, 0.08, 0.04])]) * season * rng.uniform(0.85, 1.15)
    spread = 0.22 * height
    start = rng.uniform(0, 2 * np.pi)
    for k in range(6):
        angle = start + k * np.pi / 3 + rng.uniform(-0.3, 0.3)
        reach = rng.uniform(0.5, 0.85) * spread
        place = fork + np.array([reach * np.cos(angle), reach * np.sin(angle), rng.uniform(0.06, 0.34) * height])
        if k < 3:
            parts.append(tube(fork - [0, 0, 0.1], place, (0.016 * height, 0.006 * height), bark, sides=5))
        radius = rng.uniform(0.5, 0.72) * spread
        parts.append(ball(place, (radius, radius, 0.8 * radius), leaves, color * rng.uniform(0.85, 1.15), 0.12, rng))
    crown = fork + np.array([0, 0, 0.38 * height])
    parts.append(ball(crown, (0.85 * spread, 0.85 * spread, 0.24 * height), leaves, color * 1.08, 0.12, rng))
    return merged(parts)


def hedge(rng: np.random.Generator, start: ndarray, end: ndarray, ground: float) -> Mesh:
    """Build a row of bushes from `start` to `end`."""
    length = np.linalg.norm(end - start)
    count = max(int(length / 0.9), 1)
    color = np.array(LEAF_COLORS[rng.integers(3)])
    parts = []
    for share in (np.arange(count) + 0.5) / count:
        place = start + share * (end - start)
        radii = rng.uniform((0.55, 0.55, 0.5), (0.7, 0.7, 0.75))
        look = (material("leaves"), color * rng.uniform(0.85, 1.15))
        parts.append(ball((*place, ground + 0.45), radii, *look, 0.12, rng, detail=1))
    return merged(parts)


def conifer(rng: np.random.Generator, x: float, y: float, ground: float, height: float) -> Mesh:
    """Build a fir or a cypress: a trunk and a few rough cones over one another."""
    color = np.array(((0.03, 0.075, 0.03), (0.045, 0.09, 0.04), (0.025, 0.06, 0.04))[rng.integers(3)])
    slim, tiers = rng.uniform(0.14, 0.26), int(rng.integers(3, 6))
    parts = [tube((x, y, ground - 0.2), (x, y, ground + 0.2 * height), 0.025 * height, material("bark"))]
    for k in range(tiers):
        low = ground + height * (0.1 + 0.78 * k / tiers)
        top = min(low + 1.9 * 0.9 * height / tiers, ground + height)
        radius = slim * height * (1 - k / (tiers + 0.5))
        look = (material("leaves"), color * rng.uniform(0.85, 1.15))
        parts.append(tube((x, y, low), (x, y, top), (radius, 0.08 * radius), *look, sides=11))
    return merged(parts)


def hills(rng: np.random.Generator, size: tuple[float, float]) -> Mesh:
    """Build a ring of hills and far houses beyond the edge of the town, so that streets end in something."""
    middle = np.array(size) / 2
    reach = np.array([0.0, 60.0, 160.0, 320.0, 600.0])
    rise = np.array([-1.0, 1.0, 14.0, 42.0, 85.0])
    angle = np.linspace(0, 2 * np.pi, 97)[:-1]
    # A superellipse: close to the rectangle of the town.
    c, s = np.cos(angle), np.sin(angle)
    edge = (np.abs(c) ** 8 + np.abs(s) ** 8) ** (-1 / 8)
    bumps = sum(np.sin(k * angle + rng.uniform(0, 6)) / k for k in (2, 3, 5, 8, 13))
    radius = edge[:, None] * (middle.mean() + 8 + reach)
    x = middle[0] + radius * c[:, None] * size[0] / np.mean(size)
    y = middle[1] + radius * s[:, None] * size[1] / np.mean(size)
    z = rise * (1 + 0.3 * np.clip(bumps, -1.5, 1.5))[:, None]
    x, y, z = (np.concatenate([a, a[:1]]) for a in (x, y, z))
    return from_triangles(*_grid(x, y, z), material("hills"), smooth=True)


def planter(x: float, y: float, ground: float, rng: np.random.Generator) -> Mesh:
    """Build a stone tub with a bush in it."""
    color = np.array(LEAF_COLORS[rng.integers(3)])
    return merged(
        [
            box((x - 0.5, y - 0.5, ground), (x + 0.5, y + 0.5, ground + 0.5), material("stone")),
            ball((x, y, ground + 0.75), (0.55, 0.55, 0.5), material("leaves"), color, 0.15, rng, detail=1),
        ]
    )


def _grid(x: ndarray, y: ndarray, z: ndarray) -> tuple[ndarray, ndarray]:
    """Return the vertices and triangles of a height field on an (n, m) grid."""
    n, m = x.shape
    index = np.arange(n * m).reshape(n, m)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    return np.stack([x, y, z], axis=-1).reshape(-1, 3), faces
