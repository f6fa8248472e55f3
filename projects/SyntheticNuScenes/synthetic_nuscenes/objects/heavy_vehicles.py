"""This module builds trailers and diggers in parts; x is forward, and the ground is z = 0."""

import numpy as np
from numpy import ndarray

from synthetic_nuscenes.geometry.materials import material
from synthetic_nuscenes.geometry.mesh import Mesh, box, loft, merged, stations, tube

from .vehicles import TRUCK_COLORS, ordered, pick, wheel


def trailer(rng: np.random.Generator, size: ndarray) -> Mesh:
    """Build a box trailer with two axles at the back and legs in front; `size` is length, width, height (m)."""
    length, w, h = size
    color = pick(rng, TRUCK_COLORS)
    parts = [
        box((-0.5 * length, -0.5 * w, 1.15), (0.5 * length, 0.5 * w, h), material("panel"), color),
        box((-0.5 * length, -0.32 * w, 0.85), (0.48 * length, 0.32 * w, 1.16), material("trim")),
        box((-0.5 * length, -0.49 * w, 0.55), (-0.49 * length, 0.49 * w, 0.7), material("trim")),
    ]
    for x in np.arange(-0.48 * length, 0.49 * length, 0.08 * length):
        parts.append(box((x, -0.505 * w, 1.2), (x + 0.09, 0.505 * w, h - 0.06), material("panel"), color))
    for side in (-1, 1):
        parts.append(
            box(
                *ordered((0.3 * length, side * 0.36 * w, 0.0), (0.31 * length + 0.12, side * 0.3 * w, 1.2)),
                material("chrome"),
            )
        )
        parts.append(
            box(
                *ordered((-0.503 * length, side * 0.32 * w, 0.9), (-0.49 * length, side * 0.47 * w, 1.1)),
                material("tail_light"),
            )
        )
        for x in (-0.38 * length, -0.38 * length + 1.25):
            parts.append(wheel(x, side * 0.5 * w, side, 0.48, 0.3))
    return merged(parts)


def digger(rng: np.random.Generator, size: ndarray) -> Mesh:
    """Build an excavator with tracks, a turned house with a cab, and an arm with a bucket in front."""
    length, w, h = size
    paint, yellow = material("car_paint"), pick(rng, ((0.62, 0.36, 0.02), (0.66, 0.28, 0.02)))
    steel = material("trim")
    parts = []
    for side in (-1, 1):
        y0, y1 = sorted((side * 0.5 * w, side * 0.28 * w))
        outline = [
            (-0.5, 0.35),
            (-0.44, 0.05),
            (-0.4, 0.0),
            (0.08, 0.0),
            (0.12, 0.05),
            (0.18, 0.35),
            (0.12, 0.7),
            (-0.44, 0.7),
        ]
        rings = [[(x * length, y, z) for x, z in outline] for y in (y1, y0)]
        parts.append(loft(np.array(rings), material("rubber")))
        for x in np.linspace(-0.42 * length, 0.1 * length, 5):
            parts.append(tube((x, y0 - 0.01, 0.3), (x, y1 + 0.01, 0.3), 0.16, material("trim"), (0.09, 0.08, 0.07)))
    house = [
        (-0.5 * length, 0.44 * w, 0.85, 0.56 * h),
        (-0.46 * length, 0.48 * w, 0.8, 0.62 * h),
        (0.08 * length, 0.48 * w, 0.8, 0.6 * h),
        (0.13 * length, 0.46 * w, 0.8, 0.5 * h),
    ]
    parts += [
        tube((-0.16 * length, 0, 0.5), (-0.16 * length, 0, 0.9), 0.32 * w, steel),
        stations(house, paint, yellow),
        box((-0.12 * length, 0.08 * w, 0.6 * h - 0.25), (0.12 * length, 0.46 * w, 0.9 * h), material("glass")),
        box((-0.13 * length, 0.07 * w, 0.88 * h), (0.13 * length, 0.47 * w, 0.94 * h), paint, yellow),
    ]
    for x in (-0.12 * length, 0.12 * length):
        for y in (0.08 * w, 0.46 * w):
            parts.append(tube((x, y, 0.5 * h), (x, y, 0.9 * h), 0.05, paint, yellow, sides=5))
    y = -0.12 * w
    joints = [
        (0.08 * length, y, 0.5 * h),
        (0.2 * length, y, 0.86 * h),
        (0.33 * length, y, 0.97 * h),
        (0.46 * length, y, 0.48 * h),
        (0.42 * length, y, 0.2 * h),
    ]
    for a, b, radius in zip(joints[:-1], joints[1:], (0.24, 0.22, 0.18, 0.14)):
        parts.append(tube(a, b, (radius, 0.85 * radius), paint, yellow, sides=6))
    parts.append(tube((0.1 * length, y, 0.42 * h), (0.24 * length, y, 0.8 * h), 0.07, material("chrome"), sides=6))
    bucket = [(0.5, 0.22), (0.48, 0.02), (0.4, 0.0), (0.34, 0.14), (0.36, 0.26)]
    rings = [[(x * length, side, z * h) for x, z in bucket] for side in (y - 0.2 * w, y + 0.2 * w)]
    parts.append(loft(np.array(rings), steel, (0.07, 0.065, 0.06)))
    return merged(parts)
