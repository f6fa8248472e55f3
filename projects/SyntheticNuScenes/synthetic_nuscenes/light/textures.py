"""This module draws patterns over surfaces; they fade where they are finer than a pixel."""

from collections.abc import Callable

import numpy as np
from numpy import ndarray

from synthetic_nuscenes.geometry.materials import Texture
from synthetic_nuscenes.geometry.noise import cell_value, fade, fractal, noise

from .facades import (
    Drawn,
    brick_facade,
    concrete_facade,
    glass_facade,
    plaster_facade,
    sheet_facade,
    timber_facade,
)


def pattern(
    texture: Texture, color: ndarray, place: ndarray, normal: ndarray, uv: ndarray, footprint: ndarray
) -> Drawn:
    """Return how `n` surface points look.

    Args:
        texture: the pattern.
        color: `[n, 3]` linear RGB under the pattern.
        place: `[n, 3]` metres, in a frame that moves with the surface.
        normal: `[n, 3]` unit normals.
        uv: `[n, 2]` texture coordinates.
        footprint: `[n]` metres that a pixel covers.
    """
    drawn = _PATTERNS.get(texture)
    if drawn is None:
        return Drawn(color, _no_gloss(color))
    found = drawn(color, place, normal, uv, footprint)
    return found if isinstance(found, Drawn) else Drawn(found, _no_gloss(found))


def _no_gloss(color: ndarray) -> ndarray:
    return np.zeros(len(color), np.float32)


def _asphalt(color, place, normal, uv, footprint):
    x, y = place[:, 0], place[:, 1]
    grain = (noise(x * 38, y * 38) - 0.5) * 0.5 * fade(footprint, 0.04)
    stains = (fractal(x * 0.35, y * 0.35) - 0.5) * 0.5 * fade(footprint, 2.0)
    patches = (cell_value(x / 13.0 + 0.3, y / 9.0) > 0.83) * -0.16
    crack = np.abs(fractal(x * 0.22 + 40, y * 0.22, 4) - 0.5)
    crack = -0.45 * np.clip(1 - crack / 0.006, 0, 1) * fade(footprint, 0.15)
    return color * (1 + grain + stains + patches + crack)[:, None]


def _paint_on_road(color, place, normal, uv, footprint):
    x, y = place[:, 0], place[:, 1]
    worn = np.clip((fractal(x * 2.5, y * 2.5) - 0.56) * 6, 0, 0.75) * fade(footprint, 0.5)
    grain = 1 + (noise(x * 30, y * 30) - 0.5) * 0.2 * fade(footprint, 0.05)
    asphalt = np.array([0.09, 0.09, 0.095], np.float32)
    return (color * (1 - worn[:, None]) + asphalt * worn[:, None]) * grain[:, None]


def _slabs(color, place, normal, uv, footprint):
    u, v = place[:, 0] / 0.9, place[:, 1] / 0.9
    joint = np.minimum(np.abs(u - np.round(u)), np.abs(v - np.round(v))) < 0.018
    tone = (cell_value(u + 0.5, v + 0.5) - 0.5) * 0.2 * fade(footprint, 1.0)
    stains = (fractal(place[:, 0] * 0.8, place[:, 1] * 0.8) - 0.5) * 0.3 * fade(footprint, 1.0)
    return color * (1 + tone + stains - 0.45 * joint * fade(footprint, 0.12))[:, None]


def _grass(color, place, normal, uv, footprint):
    x, y = place[:, 0], place[:, 1]
    blades = (noise(x * 22, y * 22) - 0.5) * 0.9 * fade(footprint, 0.08)
    tufts = (fractal(x * 1.7, y * 1.7) - 0.5) * 0.8 * fade(footprint, 0.6)
    dry = np.clip((fractal(x * 0.12, y * 0.12) - 0.45) * 3, 0, 1)[:, None]
    tint = color * (1 - 0.6 * dry) + np.array([0.2, 0.17, 0.06], np.float32) * 0.6 * dry
    return tint * (1 + blades + tufts)[:, None]


def _bark(color, place, normal, uv, footprint):
    x = place[:, 0] + place[:, 1]
    lines = (noise(x * 26, place[:, 2] * 3.0) - 0.5) * 0.8 * fade(footprint, 0.06)
    return color * (1 + lines)[:, None]


def _leaves(color, place, normal, uv, footprint):
    x, y, z = place.T
    # Three slices of noise, so that no side of a crown shows stretched bumps.
    leaf = (noise(x * 11, y * 11) + noise(y * 11 + 7, z * 11) + noise(z * 11 + 3, x * 11)) / 3
    clump = (noise(x * 3.6, y * 3.6) + noise(y * 3.6 + 7, z * 3.6) + noise(z * 3.6 + 3, x * 3.6)) / 3
    fine = (leaf - 0.5) * 3.2 * fade(footprint, 0.16)
    lumps = (clump - 0.5) * 1.3 * fade(footprint, 0.5)
    warm = 1 + (clump - 0.45)[:, None] * np.array([1.1, 0.35, -0.3], np.float32)
    return color * warm * np.clip(1 + fine + lumps, 0.12, 2.2)[:, None]


def _grain(color, place, normal, uv, footprint):
    x, y = place[:, 0] + 0.37 * place[:, 2], place[:, 1] + 0.59 * place[:, 2]
    value = (fractal(x * 6, y * 6) - 0.5) * 0.35 * fade(footprint, 0.2)
    return color * (1 + value)[:, None]


def _stripes(color, place, normal, uv, footprint):
    light = (uv[:, 0] / 0.36 % 1.0 < 0.5)[:, None] * fade(footprint, 0.36)[:, None]
    return color * (1 - light) + 0.62 * light


def _hills(color, place, normal, uv, footprint):
    woods = fractal(place[:, 0] / 26, place[:, 1] / 26, 4)[:, None]
    dark, light = np.float32([0.035, 0.07, 0.025]), np.float32([0.15, 0.17, 0.06])
    share = np.clip((woods - 0.42) * 7, 0, 1)
    tufts = 1 + (noise(place[:, 0] / 3, place[:, 1] / 3) - 0.5)[:, None] * 0.5
    return (light * (1 - share) + dark * share) * tufts


def _cobbles(color, place, normal, uv, footprint):
    row = place[:, 1] / 0.13
    stone = place[:, 0] / 0.16 + 0.5 * (np.floor(row) % 2) + (noise(place[:, 0] * 3, place[:, 1] * 3) - 0.5) * 0.4
    near = np.minimum(np.abs(stone - np.round(stone)), np.abs(row - np.round(row)))
    fine = fade(footprint, 0.13)
    joint = np.clip(1 - near / 0.16, 0, 1) * 0.65 * fine
    tone = (cell_value(stone, row) - 0.5) * 0.5 * fine
    stains = (fractal(place[:, 0] * 0.5, place[:, 1] * 0.5) - 0.5) * 0.35
    return color * (1 + tone + stains - joint)[:, None]


def _gravel(color, place, normal, uv, footprint):
    x, y = place[:, 0], place[:, 1]
    stones = (noise(x * 26, y * 26) - 0.5) * 1.1 * fade(footprint, 0.06)
    patches = (fractal(x * 0.9, y * 0.9) - 0.5) * 0.5 * fade(footprint, 1.0)
    return color * (1 + stones + patches)[:, None]


def _track_bed(color, place, normal, uv, footprint):
    """Draw ballast with sleepers across and two rails along u; u is metres along the track, v metres across."""
    along, across = uv[:, 0], uv[:, 1]
    drawn = _gravel(color, place, normal, uv, footprint)
    sleeper = (along % 0.65 < 0.24) & (np.abs(across) < 1.25)
    drawn[sleeper] = np.float32([0.2, 0.19, 0.18])
    rail = np.abs(np.abs(across) - 0.7525) < 0.05
    drawn[rail] = np.float32([0.3, 0.24, 0.2])
    return Drawn(drawn, np.where(rail, 0.15, 0.0).astype(np.float32))


def _water(color, place, normal, uv, footprint):
    murk = 1 + (fractal(place[:, 0] * 0.2, place[:, 1] * 0.2) - 0.5) * 0.6
    ripples = (noise(place[:, 0] * 2.2, place[:, 1] * 5.0) - 0.5) * 0.1 * fade(footprint, 0.4)
    return Drawn(color * murk[:, None], (0.05 + ripples).astype(np.float32))


def _panels(color, place, normal, uv, footprint):
    """Draw cast concrete: pores, stains, and a joint every two and a half metres along a wall."""
    along = normal[:, 0] * place[:, 1] - normal[:, 1] * place[:, 0]
    joint = np.abs(along / 2.5 - np.round(along / 2.5)) < 0.006
    pores = (noise((place[:, 0] + place[:, 2]) * 30, place[:, 1] * 30) - 0.5) * 0.2 * fade(footprint, 0.05)
    stains = (fractal(along * 0.7, place[:, 2] * 0.5, 4) - 0.5) * 0.4
    return color * (1 + pores + stains - 0.5 * joint * fade(footprint, 0.1))[:, None]


def _tiles(color, place, normal, uv, footprint):
    """Draw rows of roof tiles, each row a step along the slope."""
    level = np.hypot(normal[:, 0], normal[:, 1])
    along = np.where(
        level > 0.05, (normal[:, 0] * place[:, 1] - normal[:, 1] * place[:, 0]) / level.clip(0.05), place[:, 0]
    )
    row = np.where(level > 0.05, place[:, 2] / level.clip(0.05), place[:, 1]) / 0.33
    fine = fade(footprint, 0.3)
    edge = ((row - np.floor(row)) < 0.14) * 0.5 * fine
    tone = (cell_value(along / 0.25 + 0.5 * (np.floor(row) % 2), row) - 0.5) * 0.4 * fine
    moss = (fractal(along * 0.4, row * 0.15) - 0.5) * 0.4
    return color * (1 + tone + moss - edge)[:, None]


_PATTERNS: dict[Texture, Callable[..., Drawn | ndarray]] = {
    Texture.COBBLES: _cobbles,
    Texture.GRAVEL: _gravel,
    Texture.TRACK_BED: _track_bed,
    Texture.WATER: _water,
    Texture.PANELS: _panels,
    Texture.TILES: _tiles,
    Texture.TIMBER_FACADE: timber_facade,
    Texture.CONCRETE_FACADE: concrete_facade,
    Texture.SHEET_FACADE: sheet_facade,
    Texture.ASPHALT: _asphalt,
    Texture.PAINT_ON_ROAD: _paint_on_road,
    Texture.SLABS: _slabs,
    Texture.GRASS: _grass,
    Texture.BRICK_FACADE: brick_facade,
    Texture.PLASTER_FACADE: plaster_facade,
    Texture.GLASS_FACADE: glass_facade,
    Texture.BARK: _bark,
    Texture.LEAVES: _leaves,
    Texture.GRAIN: _grain,
    Texture.STRIPES: _stripes,
    Texture.HILLS: _hills,
}
