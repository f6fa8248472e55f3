"""This module builds bridges over roads: railways with stone abutments, and footbridges with ramps of stairs."""

import numpy as np

from synthetic_nuscenes.geometry.materials import material
from synthetic_nuscenes.geometry.mesh import Mesh, box, merged

from .town import Bridge


def bridge_mesh(bridge: Bridge) -> Mesh:
    """Build a bridge: a deck with parapets or rails, on walls at both ends."""
    start, end = np.array(bridge.start), np.array(bridge.end)
    length = float(np.hypot(*(end - start)))
    heading = float(np.arctan2(*(end - start)[::-1]))
    half, low = bridge.width / 2, bridge.height
    build = _railway if bridge.kind == "railway" else _footbridge
    # In its own frame the deck runs along x from 0 to its length.
    return merged(build(length, half, low)).moved((*start, 0.0), heading)


def _railway(length: float, half: float, low: float) -> list[Mesh]:
    stone, steel = material("stone"), material("steel")
    parts = [
        box((0, -half, low), (length, half, low + 0.9), steel),
        box((0, -half, low + 0.9), (length, -half + 0.3, low + 2.0), stone),
        box((0, half - 0.3, low + 0.9), (length, half, low + 2.0), stone),
    ]
    for x in (0.0, length):
        near, far = (x, x + 5.0) if x == 0 else (x - 5.0, x)
        parts.append(box((near, -half, 0.0), (far, half, low), stone))
    return parts


def _footbridge(length: float, half: float, low: float) -> list[Mesh]:
    steel = material("steel")
    parts = [box((0, -half, low), (length, half, low + 0.35), material("stone"))]
    for y in (-half, half - 0.05):
        parts.append(box((0, y, low + 1.3), (length, y + 0.05, low + 1.4), steel))
        for x in np.arange(0.0, length, 1.5):
            parts.append(box((x, y, low + 0.35), (x + 0.05, y + 0.05, low + 1.3), steel))
    for x in (1.0, length - 1.5):
        parts.append(box((x, -0.4, 0.0), (x + 0.5, 0.4, low), material("stone")))
    steps = int(low / 0.34)
    for k in range(steps):
        # Stairs go down beside the deck, away from the road.
        z = low - 0.34 * (k + 1)
        for sign, at in ((-1, 0.0), (1, length)):
            a, b = sorted((at + sign * 0.15 * k, at + sign * 0.15 * (k + 1)))
            parts.append(box((a, -half, max(z - 0.3, 0.0)), (b, half, z + 0.34), material("stone")))
    return parts
