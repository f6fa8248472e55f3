"""This module builds houses: textured walls in whole bays and floors, with cornices, shops, balconies and roofs."""

from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from synthetic_nuscenes.geometry.materials import Material, material
from synthetic_nuscenes.geometry.mesh import Mesh, box, from_triangles, merged

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
ROOFS = ((0.16, 0.13, 0.12), (0.26, 0.1, 0.06), (0.09, 0.09, 0.1), (0.2, 0.18, 0.16), (0.13, 0.16, 0.15))
AWNINGS = ((0.42, 0.05, 0.04), (0.04, 0.2, 0.1), (0.04, 0.09, 0.3), (0.5, 0.3, 0.04))


@dataclass(frozen=True)
class BuildingStyle:
    """A `BuildingStyle` says what houses of a part of a town look like; each house is drawn from it."""

    facades: tuple[str, ...]
    """Names of materials, one of which each house has."""
    floors: tuple[int, int]
    """Least and greatest number of floors."""
    bays: tuple[int, int]
    """Least and greatest width, in bays."""
    depth: tuple[float, float]
    """Range of depths (m)."""
    gap: float
    """Share of the houses with a gap beside them."""
    setback: tuple[float, ...]
    """Distances from the pavement (m) that are drawn from."""
    gables: float
    """Share of the houses with a pitched roof; others are flat."""
    shops: float
    """Share of the houses with shops."""


BUILDING_STYLES = {
    "terraces": BuildingStyle(("brick", "plaster"), (2, 4), (3, 6), (9, 13), 0.25, (0.0, 0.0, 2.0), 0.5, 0.45),
    "blocks": BuildingStyle(("plaster", "office", "brick"), (4, 8), (5, 10), (11, 16), 0.4, (0.0, 2.0, 4.0), 0.1, 0.4),
    "towers": BuildingStyle(
        ("office", "office", "plaster"), (6, 16), (6, 11), (14, 22), 0.6, (0.0, 3.0, 6.0), 0.0, 0.3
    ),
    "villas": BuildingStyle(("plaster", "brick"), (1, 2), (3, 5), (8, 12), 1.0, (3.0, 5.0, 8.0), 0.9, 0.0),
    "halls": BuildingStyle(("plaster", "office", "brick"), (1, 3), (8, 18), (18, 34), 0.9, (4.0, 8.0, 14.0), 0.4, 0.0),
}
"""The kinds of rows of houses."""
_PALETTES = {"brick": BRICKS, "plaster": PLASTERS, "office": OFFICES}


def house(
    rng: np.random.Generator, style: BuildingStyle, width: float, depth: float, base: float, near: bool, porch: bool
) -> Mesh:
    """Build a house whose front is the wall at y = 0, from x = -width / 2 to width / 2; its back is at y = depth (m).

    Widths of whole bays look best.

    Args:
        base: height of the ground (m).
        near: whether the car comes near enough to see more than its outline.
        porch: whether there is room in front for a porch with a step; people walk there otherwise.
    """
    facade = str(rng.choice(style.facades))
    floors = int(rng.integers(style.floors[0], style.floors[1] + 1))
    pitched = rng.random() < style.gables
    top = base + floors * FLOOR_HEIGHT + 0.6
    palette = _PALETTES[facade]
    color = np.array(palette[rng.integers(len(palette))]) * rng.uniform(0.85, 1.15)
    roof = np.array(ROOFS[rng.integers(len(ROOFS))]) * rng.uniform(0.85, 1.15)
    low, high = np.array([-width / 2, 0.0]), np.array([width / 2, depth])
    stone = material("stone")
    parts = [walls(low, high, base - 0.5, top, material(facade), color, shift=int(rng.integers(200)))]
    if pitched:
        parts.append(_gable(low, high, top - 0.3, float(rng.uniform(0.5, 0.9)), material(facade), color, roof))
    else:
        parts.append(box((*low, top - 0.02), (*high, top), material("roof"), roof))
    if not near:
        return merged(parts)
    trim = np.clip(color * 1.5 + 0.05, 0, 0.6)
    if not pitched:
        parts += _rim(low - 0.25, high + 0.25, low + 0.1, high - 0.1, top - 0.35, top + 0.35, stone, trim)
        for _ in range(int(rng.integers(1, 4))):
            size = rng.uniform((1.0, 1.0, 0.8), (3.0, 3.0, 2.4))
            x, y = rng.uniform(low + 1, np.maximum(high - 1 - size[:2], low + 1.1))
            parts.append(box((x, y, top - 0.1), (x + size[0], y + size[1], top + size[2]), stone))
    if facade != "office" and floors > 1:
        height = base + FLOOR_HEIGHT
        parts += _rim(low - 0.1, high + 0.1, low, high, height - 0.12, height + 0.12, stone, trim)
    parts += _street_front(rng, low, high, base, floors, facade, rng.random() < style.shops, porch)
    return merged(parts)


def _gable(
    low: ndarray, high: ndarray, eaves: float, pitch: float, surface: Material, color: ndarray, roof: ndarray
) -> Mesh:
    """Build a pitched roof with its ridge along the longer side; it hangs over the walls by 40 cm."""
    size = high - low
    along = int(size[1] > size[0])
    rise, over = 0.5 * pitch * size[1 - along], 0.4
    middle, half = 0.5 * (low + high), 0.5 * size

    def point(a: float, b: float, z: float) -> ndarray:
        """Return the point at shares of the half sizes along and across the ridge."""
        place = np.array([a * (half[along] + over), b * (half[1 - along] + over)])
        return np.array([*(middle + (place if along == 0 else place[::-1])), z])

    drop = eaves - over * pitch
    corners = [point(-1, -1, drop), point(1, -1, drop), point(1, 1, drop), point(-1, 1, drop)]
    ridge = [point(-1, 0, eaves + rise), point(1, 0, eaves + rise)]
    faces = np.array([[0, 1, 5], [0, 5, 4], [2, 3, 4], [2, 4, 5]])
    tiles = from_triangles(np.array(corners + ridge), faces, material("roof"), roof)
    ends = []
    for side in (-1, 1):
        shrink = side * half[along] / (half[along] + over)
        edge = half[1 - along] / (half[1 - along] + over)
        triangle = np.array([point(shrink, -edge, eaves), point(shrink, edge, eaves), point(shrink, 0, eaves + rise)])
        for order in ([0, 1, 2], [0, 2, 1]):
            ends.append(from_triangles(triangle, np.array([order]), surface, color))
    return merged([tiles, *ends])


def walls(
    low: ndarray, high: ndarray, bottom: float, top: float, surface: Material, color: ndarray, shift: int = 0
) -> Mesh:
    """Build four walls; texture coordinate u counts bays from `shift` on, v floors; both are whole at corners."""
    corners = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
    parts = []
    for k in range(4):
        a, b = corners[k], corners[(k + 1) % 4]
        width = np.linalg.norm(b - a)
        bays = max(round(width / BAY_WIDTH), 1)
        # Whole numbers apart, so that no two walls have the same curtains.
        first = shift + 31 * k
        vertices = np.array([[*a, bottom], [*b, bottom], [*b, top], [*a, top]])
        v0, v1 = -0.5 / FLOOR_HEIGHT, (top - bottom - 0.5) / FLOOR_HEIGHT
        corner_uv = np.array([[first, v0], [first + bays, v0], [first + bays, v1], [first, v1]])
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
    rng: np.random.Generator,
    low: ndarray,
    high: ndarray,
    base: float,
    floors: int,
    facade: str,
    shops: bool,
    porch: bool,
) -> list[Mesh]:
    """Put awnings over shops, balconies, or a canopy over the door on the front."""
    start, end = np.array([low[0], low[1]]), np.array([high[0], low[1]])
    width = np.linalg.norm(end - start)
    bays = max(round(width / BAY_WIDTH), 1)
    step = width / bays
    along = (end - start) / width
    out = np.array([along[1], -along[0]])

    def bar(u0: float, u1: float, depth0: float, depth1: float, z0: float, z1: float, *look) -> Mesh:
        a, b = start + along * u0 + out * depth0, start + along * u1 + out * depth1
        return box((*np.minimum(a, b), z0), (*np.maximum(a, b), z1), *look)

    parts = []
    if shops and facade != "office":
        color = np.array(AWNINGS[rng.integers(len(AWNINGS))])
        for k in range(0, bays - 1, 2):
            if rng.random() < 0.75:
                parts.append(
                    _awning(start + along * (k * step + 0.15), along * (2 * step - 0.3), out, base + 2.45, color)
                )
        sign = np.array(AWNINGS[rng.integers(len(AWNINGS))]) * 0.8
        parts.append(bar(0.3, width - 0.3, 0.0, 0.16, base + 2.75, base + 3.25, material("stone"), sign))
    elif facade == "plaster" and floors > 1 and rng.random() < 0.7:
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
        if not porch:
            return [*parts, bar(middle - 1.0, middle + 1.0, 0.0, 0.6, base + 2.6, base + 2.72, material("stone"))]
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
