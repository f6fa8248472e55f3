"""This module draws walls with windows in every bay and floor, in seven styles; some windows are lit."""

from typing import NamedTuple

import numpy as np
from numpy import ndarray

from synthetic_nuscenes.geometry.noise import cell_value, fade, fractal, noise


class Drawn(NamedTuple):
    """`Drawn` is how `n` points of a surface look under their pattern."""

    color: ndarray
    """`[n, 3]` linear RGB."""
    gloss: ndarray
    """`[n]` what is added to the gloss of the material."""
    glow: ndarray | None = None
    """`[n, 3]` light that is sent out when lights are on, None for none."""


class Openings(NamedTuple):
    """`Openings` are the windows of a style, as shares of a bay and of a floor."""

    half_width: float
    sill: float
    lintel: float
    shop: bool = True
    """Whether the ground floor has wider windows."""
    lit: float = 0.2
    """Share of the windows that are lit at night."""


_ROOM_LIGHTS = np.float32([[1.0, 0.62, 0.28], [1.0, 0.75, 0.45], [0.9, 0.95, 1.0]])


def along_wall(place: ndarray, normal: ndarray) -> ndarray:
    """Return the coordinate (m) of points along their walls, whichever way these face."""
    length = np.hypot(normal[:, 0], normal[:, 1]).clip(1e-6)
    return (normal[:, 0] * place[:, 1] - normal[:, 1] * place[:, 0]) / length


def brick_facade(color, place, normal, uv, footprint) -> Drawn:
    along = along_wall(place, normal)
    row = place[:, 2] / 0.085
    brick = along / 0.26 + 0.5 * (np.floor(row) % 2)
    joint = (np.abs(row - np.round(row)) < 0.09) | (np.abs(brick - np.round(brick)) < 0.035)
    fine = fade(footprint, 0.1)
    tone = (cell_value(brick, row) - 0.5) * 0.5 * fine
    stains = (fractal(along * 0.5, place[:, 2] * 0.3) - 0.5) * 0.3
    wall = color * (1 + tone + stains)[:, None]
    mortar = (joint * fine * 0.6)[:, None]
    wall = wall * (1 - mortar) + 0.36 * mortar
    return _windows(uv, footprint, place, along, wall, np.float32([0.5, 0.48, 0.44]), Openings(0.26, 0.3, 0.82))


def plaster_facade(color, place, normal, uv, footprint) -> Drawn:
    along = along_wall(place, normal)
    stains = (fractal(along * 0.6, place[:, 2] * 0.35, 4) - 0.5) * 0.28
    streaks = (noise(along * 2.2, place[:, 2] * 0.15) - 0.5) * 0.12 * fade(footprint, 0.6)
    wall = color * (1 + stains + streaks)[:, None]
    return _windows(
        uv, footprint, place, along, wall, np.clip(color * 1.35 + 0.06, 0, 0.75), Openings(0.24, 0.27, 0.84)
    )


def glass_facade(color, place, normal, uv, footprint) -> Drawn:
    along = along_wall(place, normal)
    stains = (fractal(along * 0.2, place[:, 2] * 0.3) - 0.5) * 0.15
    wall = color * (1 + stains)[:, None]
    openings = Openings(0.46, 0.18, 0.93, lit=0.25)
    return _windows(uv, footprint, place, along, wall, np.float32([0.16, 0.165, 0.17]), openings)


def timber_facade(color, place, normal, uv, footprint) -> Drawn:
    """Draw upright boards with gaps, each of its own tone."""
    along = along_wall(place, normal)
    board = along / 0.16
    gap = np.abs(board - np.round(board)) < 0.06
    grain = (noise(along * 40, place[:, 2] * 1.2) - 0.5) * 0.4 * fade(footprint, 0.05)
    tone = (cell_value(board + 0.5, np.zeros_like(board)) - 0.5) * 0.45 * fade(footprint, 0.3)
    weather = (fractal(along * 0.3, place[:, 2] * 0.5) - 0.5) * 0.3
    wall = color * (1 + grain + tone + weather - 0.7 * gap * fade(footprint, 0.1))[:, None]
    return _windows(
        uv, footprint, place, along, wall, np.float32([0.55, 0.53, 0.5]), Openings(0.22, 0.3, 0.8, shop=False)
    )


def concrete_facade(color, place, normal, uv, footprint) -> Drawn:
    """Draw storey-high panels with dark joints and streaks below them, and windows in bands."""
    along = along_wall(place, normal)
    u, v = uv[:, 0], uv[:, 1]
    fine = fade(footprint, 0.2)
    joint = (np.abs(u - np.round(u)) < 0.012) | (np.abs(v - np.round(v)) < 0.012)
    tone = (cell_value(u, v + 40) - 0.5) * 0.16
    streaks = (noise(along * 3.0, place[:, 2] * 0.12) - 0.6).clip(0) * -0.5 * fade(footprint, 0.4)
    stains = (fractal(along * 0.4, place[:, 2] * 0.4, 4) - 0.5) * 0.2
    wall = color * (1 + tone + streaks + stains - 0.5 * joint * fine)[:, None]
    return _windows(
        uv, footprint, place, along, wall, np.float32([0.12, 0.12, 0.125]), Openings(0.4, 0.36, 0.8, shop=False)
    )


def sheet_facade(color, place, normal, uv, footprint) -> Drawn:
    """Draw corrugated sheet metal with a row of small windows in every other bay, under the eaves."""
    along = along_wall(place, normal)
    slope = np.sin(2 * np.pi * along / 0.2)
    waves = 0.28 * slope * fade(footprint, 0.2)
    sheet = (cell_value(along / 1.1, place[:, 2] / 6.0) - 0.5) * 0.12
    rust = np.clip((fractal(along * 0.8, place[:, 2] * 0.25, 4) - 0.62) * 5, 0, 0.7)[:, None]
    wall = color * (1 + waves + sheet)[:, None]
    wall = wall * (1 - rust) + np.float32([0.2, 0.085, 0.04]) * rust
    # A bay without a window has its window below the ground.
    shifted = np.stack([uv[:, 0], np.where(np.floor(uv[:, 0]) % 2 == 0, uv[:, 1], -1.0)], axis=1)
    openings = Openings(0.36, 0.62, 0.86, shop=False, lit=0.15)
    drawn = _windows(shifted, footprint, place, along, wall, np.float32([0.3, 0.31, 0.32]), openings)
    return drawn._replace(gloss=drawn.gloss + np.float32(0.02))


def _windows(
    uv: ndarray, footprint: ndarray, place: ndarray, along: ndarray, wall: ndarray, trim: ndarray, openings: Openings
) -> Drawn:
    """Put windows with frames, curtains and rooms into a wall; u counts bays and v counts floors."""
    bay, floor = np.floor(uv[:, 0]), np.floor(uv[:, 1])
    a, b = uv[:, 0] - bay, uv[:, 1] - floor
    ground = (floor < 1) & openings.shop
    half = np.where(ground, 0.42, openings.half_width)
    low, high = np.where(ground, 0.08, openings.sill), np.where(ground, 0.78, openings.lintel)
    dx, dy = np.abs(a - 0.5), np.minimum(b - low, high - b)
    inside = (dx < half) & (dy > 0) & (floor >= 0)
    frame = inside & ((dx > half - 0.03) | (dy < 0.025) | (dx < 0.016))
    border = (dx < half + 0.05) & (dy > -0.04) & ~inside & (floor >= 0)
    soft = fade(footprint, 0.25)[:, None]
    result = wall.copy()
    result[border] = (result * (1 - soft) + trim * soft)[border]
    draw, second = cell_value(bay * 3 + 11, floor * 5 + 3), cell_value(bay * 7 + 5, floor * 3 + 29)
    # Dark rooms; some have curtains half down, a few have the light on by day.
    pane = np.full_like(result, 0.02)
    curtain = inside & (draw > 0.6) & (b > high - (high - low) * (draw * 2 % 1.0) * 0.9) & ~ground
    pane[curtain] = np.float32([0.33, 0.3, 0.25])
    pane[inside & (draw < 0.05)] = np.float32([0.75, 0.5, 0.22])
    goods = inside & ground & (b < 0.38)
    pane[goods] = (0.05 + 0.22 * cell_value(along * 2.0 + 3, place[:, 2] * 3))[goods, None]
    result[inside] = pane[inside]
    result[frame] = (pane * (1 - soft) + trim * soft)[frame]
    mirror = np.where(inside & ~frame & ~curtain, 0.16, 0.0).astype(np.float32)
    lit = inside & (~frame | (soft[:, 0] < 0.5)) & (second < np.where(ground, 0.55, openings.lit))
    glow = np.zeros_like(result)
    tint = _ROOM_LIGHTS[np.floor(draw * 2.999).astype(np.int64)]
    # Rooms are brighter near the ceiling; curtains and goods hold some of the light back.
    strength = (
        (0.25 + 0.75 * cell_value(bay * 5 + 2, floor * 11 + 7)) * (0.45 + 0.55 * b) * np.where(curtain | goods, 0.45, 1)
    )
    glow[lit] = (0.26 * tint * strength[:, None])[lit]
    return Drawn(result, mirror, glow)
