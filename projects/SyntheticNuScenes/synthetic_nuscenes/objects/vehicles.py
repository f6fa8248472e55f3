"""This module builds cars, trucks and buses in parts; x is forward, and the ground is z = 0."""

from itertools import pairwise

import numpy as np
from numpy import ndarray

from synthetic_nuscenes.geometry.materials import material
from synthetic_nuscenes.geometry.mesh import Mesh, box, merged, stations, tube

CAR_COLORS = (
    (0.55, 0.56, 0.57),
    (0.7, 0.7, 0.69),
    (0.03, 0.032, 0.036),
    (0.13, 0.135, 0.15),
    (0.38, 0.03, 0.028),
    (0.025, 0.075, 0.26),
    (0.035, 0.16, 0.15),
    (0.46, 0.33, 0.05),
    (0.27, 0.23, 0.17),
    (0.16, 0.035, 0.05),
)
TRUCK_COLORS = ((0.6, 0.6, 0.6), (0.5, 0.06, 0.04), (0.06, 0.17, 0.4), (0.55, 0.4, 0.06), (0.07, 0.25, 0.12))
BUS_COLORS = ((0.5, 0.05, 0.04), (0.06, 0.2, 0.42), (0.6, 0.45, 0.06), (0.1, 0.33, 0.2))


def car(rng: np.random.Generator, size: ndarray) -> Mesh:
    """Build a saloon, an estate or an off-roader; `size` is length, width, height (m)."""
    length, w, h = size
    paint, color = material("car_paint"), pick(rng, CAR_COLORS)
    tall = h / w > 0.9 or rng.random() < 0.45
    waist = h * (0.58 if tall else 0.61)
    body = [
        (-0.5 * length, 0.44 * w, 0.24 * h, 0.92 * waist),
        (-0.475 * length, 0.485 * w, 0.17 * h, 0.99 * waist),
        (-0.2 * length, 0.5 * w, 0.14 * h, waist),
        (0.18 * length, 0.5 * w, 0.14 * h, waist),
        (0.3 * length, 0.495 * w, 0.14 * h, 0.95 * waist),
        (0.455 * length, 0.475 * w, 0.16 * h, 0.82 * waist),
        (0.5 * length, 0.41 * w, 0.22 * h, 0.68 * waist),
    ]
    rear = (-0.475 * length, -0.39 * length) if tall else (-0.36 * length, -0.2 * length)
    front = (0.06 * length, 0.22 * length)
    cabin = [
        (rear[0], 0.455 * w, 0.92 * waist, waist + 0.02),
        (rear[1], 0.42 * w, 0.9 * waist, 0.975 * h),
        (front[0], 0.425 * w, 0.9 * waist, 0.985 * h),
        (front[1], 0.465 * w, 0.9 * waist, waist),
    ]
    parts = [
        stations(body, paint, color, bevel=0.16),
        stations(cabin, material("glass"), bevel=0.05),
        stations(
            [
                (rear[1] - 0.01 * length, 0.4 * w, 0.93 * h, 0.985 * h),
                (0.5 * (rear[1] + front[0]), 0.425 * w, 0.93 * h, h),
                (front[0] + 0.01 * length, 0.4 * w, 0.93 * h, 0.99 * h),
            ],
            paint,
            color,
            bevel=0.05,
        ),
    ]
    # Pillars: at the windscreen, the doors and the rear window.
    posts = [(front[1], front[0]), (rear[0], rear[1]), (-0.07 * length, -0.07 * length)]
    if tall:
        posts.append((-0.27 * length, -0.27 * length))
    for side in (-1, 1):
        for foot, head in posts:
            start, end = (foot, side * 0.462 * w, 0.98 * waist), (head, side * 0.425 * w, 0.965 * h)
            parts.append(tube(start, end, 0.035, paint, color, sides=5))
        parts.append(
            box(
                *ordered(
                    (0.43 * length, side * 0.28 * w, 0.56 * waist), (0.492 * length, side * 0.43 * w, 0.76 * waist)
                ),
                material("headlight"),
            )
        )
        parts.append(
            box(
                *ordered(
                    (-0.503 * length, side * 0.3 * w, 0.6 * waist), (-0.45 * length, side * 0.465 * w, 0.84 * waist)
                ),
                material("tail_light"),
            )
        )
        parts.append(
            box(
                *ordered(
                    (front[1] - 0.02 * length, side * 0.46 * w, waist),
                    (front[1] - 0.06 * length, side * 0.5 * w, waist + 0.12),
                ),
                paint,
                color,
            )
        )
        for x in (-0.31 * length, 0.31 * length):
            parts.append(wheel(x, side * 0.5 * w, side, min(0.34, 0.22 * h), 0.21))
    parts.append(
        box((0.47 * length, -0.24 * w, 0.3 * waist), (0.505 * length, 0.24 * w, 0.55 * waist), material("trim"))
    )
    parts.append(
        box((-0.506 * length, -0.13 * w, 0.42 * waist), (-0.48 * length, 0.13 * w, 0.54 * waist), material("reflector"))
    )
    parts.append(
        box((0.49 * length, -0.13 * w, 0.27 * waist), (0.512 * length, 0.13 * w, 0.37 * waist), material("reflector"))
    )
    return merged(parts)


def wheel(x: float, y: float, side: int, radius: float, width: float) -> Mesh:
    """Build a wheel that stands on the ground with its outer face at `y`."""
    center, inner = (x, y, radius), (x, y - side * width, radius)
    face = (x, y - side * 0.02, radius)
    return merged(
        [
            tube(inner, face, radius, material("rubber"), sides=14),
            tube(inner, center, 0.62 * radius, material("chrome"), (0.26, 0.26, 0.27), sides=10),
            tube(inner, (x, y + side * 0.004, radius), 0.2 * radius, material("trim"), sides=6),
        ]
    )


def truck(rng: np.random.Generator, size: ndarray) -> Mesh:
    """Build a lorry: a cab, and a closed or an open load bed behind it."""
    length, w, h = size
    color = pick(rng, TRUCK_COLORS)
    paint, panel = material("car_paint"), material("panel")
    cab = min(2.3, 0.3 * length)
    split = 0.5 * length - cab
    cab_height = min(0.86 * h, 2.9)
    parts = [
        stations(
            [
                (split, 0.47 * w, 0.5, cab_height),
                (0.44 * length, 0.48 * w, 0.45, cab_height),
                (0.49 * length, 0.48 * w, 0.42, 0.58 * cab_height),
                (0.5 * length, 0.46 * w, 0.42, 0.5 * cab_height),
            ],
            paint,
            color,
            bevel=0.1,
        ),
        box((-0.49 * length, -0.3 * w, 0.5), (split, 0.3 * w, 0.85), material("trim")),
        _windscreen(0.452 * length, 0.497 * length, 0.42 * w, 0.6 * cab_height, 0.92 * cab_height),
    ]
    for side in (-1, 1):
        parts.append(
            box(
                *ordered(
                    (split + 0.45 * cab, side * 0.475 * w, 0.56 * cab_height),
                    (split + 0.85 * cab, side * 0.485 * w, 0.9 * cab_height),
                ),
                material("glass"),
            )
        )
        parts.append(
            box(
                *ordered((0.49 * length, side * 0.3 * w, 0.6), (0.503 * length, side * 0.44 * w, 0.82)),
                material("headlight"),
            )
        )
        parts.append(
            box(
                *ordered((-0.5 * length, side * 0.34 * w, 0.62), (-0.49 * length, side * 0.47 * w, 0.85)),
                material("tail_light"),
            )
        )
        for x in (0.5 * length - 0.55 * cab, -0.3 * length, -0.3 * length + 1.15):
            if x > -0.3 * length + 0.6 and x < 0 and length < 6.5:
                continue
            parts.append(wheel(x, side * 0.49 * w, side, 0.48, 0.28))
    bed = (-0.5 * length, split - 0.12)
    if rng.random() < 0.7:
        load = pick(rng, ((0.62, 0.62, 0.6), color, (0.5, 0.5, 0.46)))
        parts.append(box((bed[0], -0.5 * w, 0.9), (bed[1], 0.5 * w, h), panel, load))
        stripe = pick(rng, TRUCK_COLORS)
        low, high = (bed[0] + 0.4, -0.502 * w, 0.42 * h), (bed[1] - 0.4, 0.502 * w, 0.55 * h)
        parts.append(box(low, high, panel, stripe))
    else:
        wall = 0.5 * h
        parts.append(box((bed[0], -0.5 * w, 0.9), (bed[1], 0.5 * w, 1.05), panel, color))
        for side in (-1, 1):
            parts.append(box(*ordered((bed[0], side * 0.47 * w, 1.0), (bed[1], side * 0.5 * w, wall)), panel, color))
        parts.append(box((bed[0], -0.5 * w, 1.0), (bed[0] + 0.08, 0.5 * w, wall), panel, color))
        parts.append(box((bed[1] - 0.1, -0.5 * w, 1.0), (bed[1], 0.5 * w, h), panel, color))
        heap = [
            (bed[0] + 0.3, 0.3 * w, 1.0, 0.5 * h),
            (0.5 * sum(bed), 0.42 * w, 1.0, 0.72 * h),
            (bed[1] - 0.3, 0.3 * w, 1.0, 0.55 * h),
        ]
        parts.append(stations(heap, material("cloth"), (0.24, 0.17, 0.1), bevel=0.5))
    return merged(parts)


def bus(rng: np.random.Generator, size: ndarray) -> Mesh:
    """Build a city bus with a band of windows and two doors on its right side."""
    length, w, h = size
    color, glass = pick(rng, BUS_COLORS), material("glass")
    parts = [
        stations(
            [
                (-0.5 * length, 0.48 * w, 0.4, 0.97 * h),
                (-0.49 * length, 0.5 * w, 0.32, h),
                (0.485 * length, 0.5 * w, 0.32, h),
                (0.5 * length, 0.48 * w, 0.36, 0.95 * h),
            ],
            material("car_paint"),
            color,
            bevel=0.14,
        ),
        box(
            (-0.495 * length, -0.502 * w, 0.36),
            (0.49 * length, 0.502 * w, 0.22 * h),
            material("panel"),
            (0.6, 0.6, 0.58),
        ),
        box((0.495 * length, -0.43 * w, 0.36 * h), (0.506 * length, 0.43 * w, 0.78 * h), glass),
        box(
            (0.495 * length, -0.36 * w, 0.83 * h),
            (0.506 * length, 0.36 * w, 0.93 * h),
            material("lamp"),
            (0.8, 0.5, 0.1),
        ),
        box((-0.506 * length, -0.36 * w, 0.52 * h), (-0.495 * length, 0.36 * w, 0.82 * h), glass),
        box(
            (-0.42 * length, -0.36 * w, h - 0.02),
            (-0.1 * length, 0.36 * w, h + 0.14),
            material("panel"),
            (0.5, 0.5, 0.48),
        ),
    ]
    count = max(int(0.9 * length / 1.7), 2)
    edges = np.linspace(-0.47 * length, 0.47 * length, count + 1)
    for side in (-1, 1):
        for k, (a, b) in enumerate(pairwise(edges)):
            door = side < 0 and k in (count - 1, count // 2)
            low = 0.13 * h if door else 0.42 * h
            parts.append(box(*ordered((a + 0.07, side * 0.495 * w, low), (b - 0.07, side * 0.504 * w, 0.8 * h)), glass))
        parts.append(
            box(
                *ordered((0.49 * length, side * 0.3 * w, 0.55), (0.508 * length, side * 0.44 * w, 0.8)),
                material("headlight"),
            )
        )
        parts.append(
            box(
                *ordered((-0.508 * length, side * 0.34 * w, 0.6), (-0.49 * length, side * 0.46 * w, 1.1)),
                material("tail_light"),
            )
        )
        for x in (0.27 * length, -0.26 * length):
            parts.append(wheel(x, side * 0.508 * w, side, 0.48, 0.3))
    return merged(parts)


def _windscreen(x_top: float, x_bottom: float, half: float, low: float, high: float) -> Mesh:
    rows = [(x_top - 0.06, half, low, high), (x_top + 0.02, half, low, high), (x_bottom + 0.01, half, low, low + 0.05)]
    return stations(rows, material("glass"), bevel=0.02)


def pick(rng: np.random.Generator, colors: tuple) -> ndarray:
    """Draw one of the colours, a little lighter or darker."""
    return np.array(colors[rng.integers(len(colors))]) * rng.uniform(0.85, 1.15)


def ordered(a: tuple, b: tuple) -> tuple[ndarray, ndarray]:
    """Return the lower and the upper corner of the box between two corners."""
    return np.minimum(a, b), np.maximum(a, b)
