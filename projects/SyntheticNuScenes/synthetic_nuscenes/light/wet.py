"""This module makes streets wet: darker, with puddles, and a film of water that mirrors."""

from typing import NamedTuple

import numpy as np
from numpy import ndarray

from synthetic_nuscenes.geometry.materials import MATERIALS
from synthetic_nuscenes.geometry.noise import fractal, noise

_POROUS = {
    0.5: ("asphalt",),
    0.4: ("cycle_lane", "cobbles", "pavement", "kerb", "plaza", "earth"),
    0.3: ("gravel", "track_bed", "concrete", "wood", "bark", "roof_tiles"),
    0.2: ("lawn", "stone", "cloth", "timber", "brick", "concrete_panels", "road_marking"),
}
"""Share of the light that materials lose when they are wet."""
_LOST = {name: share for share, names in _POROUS.items() for name in names}
DARKENING = np.array([_LOST.get(m.name, 0.0) for m in MATERIALS], np.float32)
"""The same for each material, by number."""
PAVED = np.array(
    [m.name in ("asphalt", "cycle_lane", "cobbles", "road_marking", "pavement", "plaza", "kerb") for m in MATERIALS]
)
"""Which materials hold a film of water."""


class Film(NamedTuple):
    """A `Film` is the water on `n` points."""

    points: ndarray
    """`[n]` numbers of the points among those that were asked for."""
    share: ndarray
    """`[n]` share of the light that is mirrored."""
    mirrored: ndarray
    """`[n, 3]` unit direction into which the eye's ray goes on."""
    puddle: ndarray
    """`[n]` how much of a puddle it is, 0 to 1."""


def puddles(x: ndarray, y: ndarray, wet: float) -> ndarray:
    """Return how much of a puddle is at places on the street (m), 0 to 1."""
    return np.clip((fractal(x / 5.3, y / 5.3, 3) - (0.73 - 0.12 * wet)) * 14, 0, 1) * min(1.0, 1.4 * wet)


def water_film(
    wet: float, material: ndarray, point: ndarray, normal: ndarray, directions: ndarray, footprint: ndarray
) -> Film:
    """Return the film of water on what is paved and level.

    Args:
        wet: how wet the street is, 0 to 1.
        material: `[n]` numbers of materials.
        point: `[n, 3]` metres, in the world.
        normal: `[n, 3]` unit normals.
        directions: `[n, 3]` unit directions of the eye's rays.
        footprint: `[n]` metres that a pixel covers.
    """
    at = np.flatnonzero(PAVED[material] & (normal[:, 2] > 0.9)) if wet > 0 else np.zeros(0, np.int64)
    x, y = point[at, 0].astype(np.float32), point[at, 1].astype(np.float32)
    pool = puddles(x, y, wet).astype(np.float32)
    cosine = np.clip(-(directions[at] * normal[at]).sum(axis=1), 0, 1)
    fresnel = 0.02 + 0.98 * (1 - cosine) ** 5
    # Outside of puddles grains stand out of the film and scatter what it mirrors.
    share = fresnel * (pool + (1 - pool) * 0.32 * wet)
    rough = (0.006 * pool + 0.07 * (1 - pool)) / (1 + (footprint[at] / 0.05) ** 2) ** 0.25
    bumps = np.stack([noise(x * 31, y * 31) - 0.5, noise(x * 31 + 90, y * 31 + 40) - 0.5, np.zeros_like(x)], axis=1)
    bent = normal[at] + bumps * rough[:, None]
    bent /= np.linalg.norm(bent, axis=1, keepdims=True)
    mirrored = directions[at] - 2 * (directions[at] * bent).sum(axis=1, keepdims=True) * bent
    # Never into the ground.
    mirrored[:, 2] = np.maximum(mirrored[:, 2], 0.004)
    mirrored /= np.linalg.norm(mirrored, axis=1, keepdims=True)
    keep = share > 0.012
    return Film(at[keep], share[keep].astype(np.float32), mirrored[keep].astype(np.float32), pool[keep])
