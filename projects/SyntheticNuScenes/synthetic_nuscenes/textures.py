"""This module draws patterns over surfaces; they fade where they are finer than a pixel."""

from functools import cache

import numpy as np
from numpy import ndarray

from .materials import Texture

_SIZE = 256


def noise(x: ndarray, y: ndarray) -> ndarray:
    """Return smooth noise in [0, 1] with bumps about one unit wide; it repeats after 256 units."""
    table = _table()
    x0, y0 = np.floor(x), np.floor(y)
    fx, fy = x - x0, y - y0
    fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)
    i, j = x0.astype(np.int64) & (_SIZE - 1), y0.astype(np.int64) & (_SIZE - 1)
    i1, j1 = (i + 1) & (_SIZE - 1), (j + 1) & (_SIZE - 1)
    flat = table.ravel()
    a, b = flat[i * _SIZE + j], flat[i1 * _SIZE + j]
    c, d = flat[i * _SIZE + j1], flat[i1 * _SIZE + j1]
    low, high = a + (b - a) * fx, c + (d - c) * fx
    return low + (high - low) * fy


def fractal(x: ndarray, y: ndarray, octaves: int = 3) -> ndarray:
    """Return noise in [0, 1] on `octaves` scales; each is half as wide and half as strong as the one before."""
    total, weight = 0.0, 0.0
    for k in range(octaves):
        total = total + noise(x * 2**k + 17.3 * k, y * 2**k + 5.1 * k) * 0.5**k
        weight += 0.5**k
    return total / weight


def cell_value(x: ndarray, y: ndarray) -> ndarray:
    """Return a number in [0, 1] for the unit square that each point is in."""
    i, j = np.floor(x).astype(np.int64) & (_SIZE - 1), np.floor(y).astype(np.int64) & (_SIZE - 1)
    return _table()[i, j]


def pattern(
    texture: Texture, color: ndarray, place: ndarray, normal: ndarray, uv: ndarray, footprint: ndarray
) -> tuple[ndarray, ndarray]:
    """Return the colour of `n` surface points, and how much they mirror.

    Args:
        texture: the pattern.
        color: `[n, 3]` linear RGB under the pattern.
        place: `[n, 3]` metres, in a frame that moves with the surface.
        normal: `[n, 3]` unit normals.
        uv: `[n, 2]` texture coordinates.
        footprint: `[n]` metres that a pixel covers.

    Returns:
        colour `[n, 3]`, and gloss `[n]` to be added to that of the material.
    """
    drawn = _PATTERNS.get(texture)
    if drawn is None:
        return color, np.zeros(len(color), np.float32)
    return drawn(color, place, normal, uv, footprint)


def _fade(footprint: ndarray, scale: float) -> ndarray:
    """Return how much of a pattern of `scale` metres is left where a pixel covers `footprint` metres."""
    return 1.0 / (1.0 + (footprint / (0.5 * scale)) ** 2)


def _no_gloss(color: ndarray) -> ndarray:
    return np.zeros(len(color), np.float32)


def _asphalt(color, place, normal, uv, footprint):
    x, y = place[:, 0], place[:, 1]
    grain = (noise(x * 38, y * 38) - 0.5) * 0.5 * _fade(footprint, 0.04)
    stains = (fractal(x * 0.35, y * 0.35) - 0.5) * 0.5 * _fade(footprint, 2.0)
    patches = (cell_value(x / 13.0 + 0.3, y / 9.0) > 0.83) * -0.16
    crack = np.abs(fractal(x * 0.22 + 40, y * 0.22, 4) - 0.5)
    crack = -0.45 * np.clip(1 - crack / 0.006, 0, 1) * _fade(footprint, 0.15)
    return color * (1 + grain + stains + patches + crack)[:, None], _no_gloss(color)


def _paint_on_road(color, place, normal, uv, footprint):
    x, y = place[:, 0], place[:, 1]
    worn = np.clip((fractal(x * 2.5, y * 2.5) - 0.56) * 6, 0, 0.75) * _fade(footprint, 0.5)
    grain = 1 + (noise(x * 30, y * 30) - 0.5) * 0.2 * _fade(footprint, 0.05)
    asphalt = np.array([0.09, 0.09, 0.095], np.float32)
    return (color * (1 - worn[:, None]) + asphalt * worn[:, None]) * grain[:, None], _no_gloss(color)


def _slabs(color, place, normal, uv, footprint):
    u, v = place[:, 0] / 0.9, place[:, 1] / 0.9
    joint = np.minimum(np.abs(u - np.round(u)), np.abs(v - np.round(v))) < 0.018
    tone = (cell_value(u + 0.5, v + 0.5) - 0.5) * 0.2 * _fade(footprint, 1.0)
    stains = (fractal(place[:, 0] * 0.8, place[:, 1] * 0.8) - 0.5) * 0.3 * _fade(footprint, 1.0)
    return color * (1 + tone + stains - 0.45 * joint * _fade(footprint, 0.12))[:, None], _no_gloss(color)


def _grass(color, place, normal, uv, footprint):
    x, y = place[:, 0], place[:, 1]
    blades = (noise(x * 22, y * 22) - 0.5) * 0.9 * _fade(footprint, 0.08)
    tufts = (fractal(x * 1.7, y * 1.7) - 0.5) * 0.8 * _fade(footprint, 0.6)
    dry = np.clip((fractal(x * 0.12, y * 0.12) - 0.45) * 3, 0, 1)[:, None]
    tint = color * (1 - 0.6 * dry) + np.array([0.2, 0.17, 0.06], np.float32) * 0.6 * dry
    return tint * (1 + blades + tufts)[:, None], _no_gloss(color)


def _facade(color, uv, footprint, place, normal, wall, width, sill, lintel, trim):
    """Draw a wall with windows in every bay and floor; the ground floor has wider ones."""
    bay, floor = np.floor(uv[:, 0]), np.floor(uv[:, 1])
    a, b = uv[:, 0] - bay, uv[:, 1] - floor
    ground = floor < 1
    half = np.where(ground, 0.42, width)
    low, high = np.where(ground, 0.08, sill), np.where(ground, 0.78, lintel)
    dx, dy = np.abs(a - 0.5), np.minimum(b - low, high - b)
    inside = (dx < half) & (dy > 0) & (floor >= 0)
    frame = inside & ((dx > half - 0.03) | (dy < 0.025) | (np.abs(a - 0.5) < 0.016))
    border = (dx < half + 0.05) & (dy > -0.04) & ~inside & (floor >= 0)
    soft = _fade(footprint, 0.25)[:, None]
    result = wall.copy()
    result[border] = (result * (1 - soft) + trim * soft)[border]
    draw = cell_value(bay * 3 + 11, floor * 5 + 3)
    # Dark rooms; some have curtains half down, a few have the light on.
    pane = np.full_like(result, 0.02)
    curtain = inside & (draw > 0.6) & (b > high - (high - low) * (draw * 2 % 1.0) * 0.9) & ~ground
    pane[curtain] = np.array([0.33, 0.3, 0.25], np.float32)
    lit = inside & (draw < 0.05)
    pane[lit] = np.array([0.75, 0.5, 0.22], np.float32)
    goods = inside & ground & (b < 0.38)
    pane[goods] = (0.05 + 0.22 * cell_value(place @ np.array([2.1, 1.7, 0.0]) + 3, place[:, 2] * 3))[goods, None]
    result[inside] = pane[inside]
    result[frame] = (pane * (1 - soft) + trim * soft)[frame]
    mirror = np.where(inside & ~frame & ~curtain, 0.16, 0.0).astype(np.float32)
    return result, mirror


def _brick_facade(color, place, normal, uv, footprint):
    along = np.where(np.abs(normal[:, 0]) > 0.5, place[:, 1], place[:, 0])
    row = place[:, 2] / 0.085
    brick = along / 0.26 + 0.5 * (np.floor(row) % 2)
    joint = (np.abs(row - np.round(row)) < 0.09) | (np.abs(brick - np.round(brick)) < 0.035)
    fine = _fade(footprint, 0.1)
    tone = (cell_value(brick, row) - 0.5) * 0.5 * fine
    stains = (fractal(along * 0.5, place[:, 2] * 0.3) - 0.5) * 0.3
    wall = color * (1 + tone + stains)[:, None]
    mortar = (joint * fine * 0.6)[:, None]
    wall = wall * (1 - mortar) + 0.36 * mortar
    return _facade(color, uv, footprint, place, normal, wall, 0.26, 0.3, 0.82, np.float32([0.5, 0.48, 0.44]))


def _plaster_facade(color, place, normal, uv, footprint):
    along = np.where(np.abs(normal[:, 0]) > 0.5, place[:, 1], place[:, 0])
    stains = (fractal(along * 0.6, place[:, 2] * 0.35, 4) - 0.5) * 0.28
    streaks = (noise(along * 2.2, place[:, 2] * 0.15) - 0.5) * 0.12 * _fade(footprint, 0.6)
    wall = color * (1 + stains + streaks)[:, None]
    trim = np.clip(color * 1.35 + 0.06, 0, 0.75)
    return _facade(color, uv, footprint, place, normal, wall, 0.24, 0.27, 0.84, trim)


def _glass_facade(color, place, normal, uv, footprint):
    stains = (fractal(place[:, 0] * 0.2 + place[:, 1] * 0.2, place[:, 2] * 0.3) - 0.5) * 0.15
    wall = color * (1 + stains)[:, None]
    return _facade(color, uv, footprint, place, normal, wall, 0.46, 0.18, 0.93, np.float32([0.16, 0.165, 0.17]))


def _bark(color, place, normal, uv, footprint):
    x = place[:, 0] + place[:, 1]
    lines = (noise(x * 26, place[:, 2] * 3.0) - 0.5) * 0.8 * _fade(footprint, 0.06)
    return color * (1 + lines)[:, None], _no_gloss(color)


def _leaves(color, place, normal, uv, footprint):
    x, y, z = place.T
    # Three slices of noise, so that no side of a crown shows stretched bumps.
    leaf = (noise(x * 11, y * 11) + noise(y * 11 + 7, z * 11) + noise(z * 11 + 3, x * 11)) / 3
    clump = (noise(x * 3.6, y * 3.6) + noise(y * 3.6 + 7, z * 3.6) + noise(z * 3.6 + 3, x * 3.6)) / 3
    fine = (leaf - 0.5) * 3.2 * _fade(footprint, 0.16)
    lumps = (clump - 0.5) * 1.3 * _fade(footprint, 0.5)
    warm = 1 + (clump - 0.45)[:, None] * np.array([1.1, 0.35, -0.3], np.float32)
    return color * warm * np.clip(1 + fine + lumps, 0.12, 2.2)[:, None], _no_gloss(color)


def _grain(color, place, normal, uv, footprint):
    x, y = place[:, 0] + 0.37 * place[:, 2], place[:, 1] + 0.59 * place[:, 2]
    value = (fractal(x * 6, y * 6) - 0.5) * 0.35 * _fade(footprint, 0.2)
    return color * (1 + value)[:, None], _no_gloss(color)


def _stripes(color, place, normal, uv, footprint):
    light = (uv[:, 0] / 0.36 % 1.0 < 0.5)[:, None] * _fade(footprint, 0.36)[:, None]
    return color * (1 - light) + 0.62 * light, _no_gloss(color)


def _hills(color, place, normal, uv, footprint):
    woods = fractal(place[:, 0] / 26, place[:, 1] / 26, 4)[:, None]
    dark, light = np.float32([0.035, 0.07, 0.025]), np.float32([0.15, 0.17, 0.06])
    share = np.clip((woods - 0.42) * 7, 0, 1)
    tufts = 1 + (noise(place[:, 0] / 3, place[:, 1] / 3) - 0.5)[:, None] * 0.5
    return (light * (1 - share) + dark * share) * tufts, _no_gloss(color)


@cache
def _table() -> ndarray:
    return np.random.default_rng(7).random((_SIZE, _SIZE), dtype=np.float32)


_PATTERNS = {
    Texture.ASPHALT: _asphalt,
    Texture.PAINT_ON_ROAD: _paint_on_road,
    Texture.SLABS: _slabs,
    Texture.GRASS: _grass,
    Texture.BRICK_FACADE: _brick_facade,
    Texture.PLASTER_FACADE: _plaster_facade,
    Texture.GLASS_FACADE: _glass_facade,
    Texture.BARK: _bark,
    Texture.LEAVES: _leaves,
    Texture.GRAIN: _grain,
    Texture.STRIPES: _stripes,
    Texture.HILLS: _hills,
}
