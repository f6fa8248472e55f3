"""This module builds houses: textured walls in whole bays and floors, with cornices, shops, balconies and roofs."""

import numpy as np
from numpy import ndarray

from .materials import Material, material
from .mesh import Mesh, box, from_triangles, merged

FLOOR_HEIGHT = 3.3
BAY_WIDTH = 2.7
BRICKS = ((0.28, 0.11, 0.07), (0.34, 0.16, 0.09), (0.22, 0.1, 0.08), (0.36, 0.22, 0.13))
PLASTERS = (
    (0.52, 0.45, 0.33),
    (0.5, 0.5, 0.47),
    (0.45, 0.3, 0.2),
    (0.36, 0.42, 0.44),
    (0.5, 0.4, 0.22),
    (0.3, 0.34, 0.26),
)
OFFICES = ((0.2, 0.21, 0.22), (0.13, 0.16, 0.2), (0.3, 0.29, 0.27))
AWNINGS = ((0.42, 0.05, 0.04), (0.04, 0.2, 0.1), (0.04, 0.09, 0.3), (0.5, 0.3, 0.04))


def house(rng: np.random.Generator, low: ndarray, high: ndarray, base: float, street_side: int, near: bool) -> Mesh:
    """Build a house on the rectangle from `low` to `high` (m), which stands at height `base`.

    Rectangles of whole bays look best.

    Args:
        street_side: which of the walls -y, +x, +y, -x (0 to 3) has the shops and balconies.
        near: whether the car comes near enough to see more than its outline.
    """
    style = rng.choice(["brick", "plaster", "office"], p=[0.4, 0.42, 0.18])
    floors = int(rng.integers(2, 6)) if style != "office" else int(rng.integers(4, 9))
    top = base + floors * FLOOR_HEIGHT + 0.6
    palette = {"brick": BRICKS, "plaster": PLASTERS, "office": OFFICES}[style]
    color = np.array(palette[rng.integers(len(palette))]) * rng.uniform(0.85, 1.15)
    stone = material("stone")
    parts = [walls(low, high, base - 0.5, top, material(str(style)), color)]
    parts.append(box((*low, top - 0.02), (*high, top), material("roof")))
    if not near:
        return merged(parts)
    trim = np.clip(color * 1.5 + 0.05, 0, 0.6)
    parts += _rim(low - 0.25, high + 0.25, low + 0.1, high - 0.1, top - 0.35, top + 0.35, stone, trim)
    if style != "office":
        height = base + FLOOR_HEIGHT
        parts += _rim(low - 0.1, high + 0.1, low, high, height - 0.12, height + 0.12, stone, trim)
    parts += _street_front(rng, low, high, base, floors, street_side, str(style))
    for _ in range(int(rng.integers(1, 4))):
        size = rng.uniform((1.0, 1.0, 0.8), (3.0, 3.0, 2.4))
        x, y = rng.uniform(low + 1, np.maximum(high - 1 - size[:2], low + 1.1))
        parts.append(box((x, y, top - 0.1), (x + size[0], y + size[1], top + size[2]), stone))
    return merged(parts)


def walls(low: ndarray, high: ndarray, bottom: float, top: float, surface: Material, color: ndarray) -> Mesh:
    """Build four walls; texture coordinate u counts bays and v counts floors, both whole at corners and street."""
    corners = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
    parts = []
    for k in range(4):
        a, b = corners[k], corners[(k + 1) % 4]
        width = np.linalg.norm(b - a)
        bays = max(round(width / BAY_WIDTH), 1)
        # Whole numbers apart, so that no two walls have the same curtains.
        shift = 31 * k + 7 * int(a.sum())
        vertices = np.array([[*a, bottom], [*b, bottom], [*b, top], [*a, top]])
        v0, v1 = -0.5 / FLOOR_HEIGHT, (top - bottom - 0.5) / FLOOR_HEIGHT
        corner_uv = np.array([[shift, v0], [shift + bays, v0], [shift + bays, v1], [shift, v1]])
        faces = np.array([[0, 1, 2], [0, 2, 3]])
        parts.append(from_triangles(vertices, faces, surface, color, uv=corner_uv[faces]))
    return merged(parts)


def _rim(
    low: ndarray,
    high: ndarray,
    inner_low: ndarray,
    inner_high: ndarray,
    z0: float,
    z1: float,
    surface: Material,
    color: ndarray,
) -> list[Mesh]:
    """Build four bars around a house."""
    return [
        box((low[0], low[1], z0), (high[0], inner_low[1], z1), surface, color),
        box((low[0], inner_high[1], z0), (high[0], high[1], z1), surface, color),
        box((low[0], inner_low[1], z0), (inner_low[0], inner_high[1], z1), surface, color),
        box((inner_high[0], inner_low[1], z0), (high[0], inner_high[1], z1), surface, color),
    ]


def _street_front(
    rng: np.random.Generator, low: ndarray, high: ndarray, base: float, floors: int, side: int, style: str
) -> list[Mesh]:
    """Put awnings over shops, balconies, or a canopy over the door on one wall."""
    corners = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
    start, end = corners[side], corners[(side + 1) % 4]
    width = np.linalg.norm(end - start)
    bays = max(round(width / BAY_WIDTH), 1)
    step = width / bays
    along = (end - start) / width
    out = np.array([along[1], -along[0]])

    def bar(u0: float, u1: float, depth0: float, depth1: float, z0: float, z1: float, *look) -> Mesh:
        a, b = start + along * u0 + out * depth0, start + along * u1 + out * depth1
        return box((*np.minimum(a, b), z0), (*np.maximum(a, b), z1), *look)

    parts = []
    shops = style != "office" and rng.random() < 0.55
    if shops:
        color = np.array(AWNINGS[rng.integers(len(AWNINGS))])
        for k in range(0, bays - 1, 2):
            if rng.random() < 0.75:
                parts.append(
                    _awning(start + along * (k * step + 0.15), along * (2 * step - 0.3), out, base + 2.45, color)
                )
        sign = np.array(AWNINGS[rng.integers(len(AWNINGS))]) * 0.8
        parts.append(bar(0.3, width - 0.3, 0.0, 0.16, base + 2.75, base + 3.25, material("stone"), sign))
    elif style == "plaster" and rng.random() < 0.7:
        for floor in range(1, floors):
            z = base + floor * FLOOR_HEIGHT
            for k in range(1, bays - 1, 2):
                u0, u1 = k * step + 0.1, (k + 1) * step - 0.1
                parts.append(bar(u0, u1, 0.0, 1.0, z + 0.1, z + 0.25, material("stone")))
                parts.append(bar(u0, u1, 0.94, 1.0, z + 0.25, z + 1.15, material("steel")))
                parts.append(bar(u0, u0 + 0.05, 0.0, 1.0, z + 0.25, z + 1.15, material("steel")))
                parts.append(bar(u1 - 0.05, u1, 0.0, 1.0, z + 0.25, z + 1.15, material("steel")))
    else:
        middle = step * (bays // 2 + 0.5)
        parts.append(bar(middle - 1.6, middle + 1.6, 0.0, 1.3, base + 2.6, base + 2.8, material("stone")))
        for u in (middle - 1.45, middle + 1.3):
            parts.append(bar(u, u + 0.15, 1.1, 1.25, base - 0.3, base + 2.6, material("steel")))
        parts.append(bar(middle - 1.6, middle + 1.6, 0.0, 1.4, base - 0.3, base + 0.16, material("stone")))
    return parts


def _awning(start: ndarray, span: ndarray, out: ndarray, height: float, color: ndarray) -> Mesh:
    """Build a striped slope of cloth with a hanging edge."""
    depth, drop = 1.15, 0.55
    a, b = np.array([*start, height + drop]), np.array([*(start + span), height + drop])
    slope = np.array([*(out * depth), -drop])
    c, d = b + slope, a + slope
    e, f = c - [0, 0, 0.25], d - [0, 0, 0.25]
    width = np.linalg.norm(span)
    uv = np.array([[0, 0], [width, 0], [width, 1], [0, 1], [width, 1.2], [0, 1.2]])
    faces = np.array([[0, 1, 2], [0, 2, 3], [3, 2, 4], [3, 4, 5]])
    return from_triangles(np.array([a, b, c, d, e, f]), faces, material("awning"), color, uv=uv[faces])
