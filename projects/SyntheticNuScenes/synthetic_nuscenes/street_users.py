"""This module builds people, two-wheelers, cones and barriers in parts; x is forward, and the ground is z = 0."""

from itertools import pairwise

import numpy as np
from numpy import ndarray

from .materials import material
from .mesh import Mesh, ball, box, loft, merged, stations, tube

CLOTHES = (
    (0.05, 0.06, 0.1),
    (0.3, 0.04, 0.04),
    (0.06, 0.16, 0.28),
    (0.42, 0.38, 0.3),
    (0.08, 0.2, 0.1),
    (0.4, 0.26, 0.04),
    (0.2, 0.08, 0.22),
    (0.5, 0.5, 0.5),
)
TROUSERS = ((0.03, 0.04, 0.09), (0.04, 0.04, 0.04), (0.16, 0.13, 0.09), (0.1, 0.1, 0.11))
SKIN = ((0.5, 0.31, 0.22), (0.36, 0.2, 0.13), (0.16, 0.085, 0.055), (0.44, 0.27, 0.18))
HAIR = ((0.02, 0.015, 0.01), (0.07, 0.04, 0.02), (0.2, 0.13, 0.05), (0.15, 0.15, 0.15))


def pedestrian(rng: np.random.Generator, size: ndarray) -> Mesh:
    """Build a walker in mid-stride; `size` is length, width, height (m)."""
    return _walker(rng, size[2], _any(rng, CLOTHES), None)


def worker(rng: np.random.Generator, size: ndarray) -> Mesh:
    """Build a walker with a helmet and a signal vest."""
    return _walker(rng, size[2], (0.7, 0.27, 0.02), (0.7, 0.55, 0.04))


def _walker(rng: np.random.Generator, h: float, top: ndarray | tuple, helmet: tuple | None) -> Mesh:
    cloth, skin = material("cloth"), _any(rng, SKIN)
    trousers = _any(rng, TROUSERS)
    stride, swing = 0.15 * h, 0.13 * h
    parts = []
    for side in (-1, 1):
        hip, knee = (0, side * 0.055 * h, 0.5 * h), (side * 0.4 * stride, side * 0.06 * h, 0.27 * h)
        foot = (side * stride, side * 0.06 * h, 0.035 * h)
        parts.append(tube(hip, knee, (0.055 * h, 0.042 * h), cloth, trousers))
        parts.append(tube(knee, foot, (0.042 * h, 0.03 * h), cloth, trousers))
        parts.append(
            box(
                (foot[0] - 0.03 * h, foot[1] - 0.028 * h, 0),
                (foot[0] + 0.085 * h, foot[1] + 0.028 * h, 0.05 * h),
                material("rubber"),
            )
        )
        shoulder, elbow = (0, side * 0.115 * h, 0.8 * h), (-side * 0.4 * swing, side * 0.145 * h, 0.64 * h)
        hand = (-side * swing, side * 0.14 * h, 0.5 * h)
        parts.append(tube(shoulder, elbow, (0.035 * h, 0.028 * h), cloth, top))
        parts.append(tube(elbow, hand, (0.028 * h, 0.02 * h), cloth, top))
        parts.append(ball(hand, [0.025 * h] * 3, material("skin"), skin, detail=1))
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    rings = [
        [(a * h * np.cos(t), b * h * np.sin(t), z * h) for t in angle]
        for a, b, z in (
            (0.06, 0.09, 0.47),
            (0.065, 0.09, 0.56),
            (0.07, 0.105, 0.7),
            (0.065, 0.12, 0.79),
            (0.03, 0.05, 0.84),
        )
    ]
    parts += [
        loft(np.array(rings), cloth, top, smooth=True),
        tube((0, 0, 0.82 * h), (0.005 * h, 0, 0.88 * h), 0.03 * h, material("skin"), skin),
        ball((0.012 * h, 0, 0.925 * h), (0.055 * h, 0.046 * h, 0.068 * h), material("skin"), skin),
    ]
    if helmet is not None:
        parts.append(
            ball((0.005 * h, 0, 0.955 * h), (0.072 * h, 0.062 * h, 0.05 * h), material("signal_plastic"), helmet)
        )
        for z in (0.6, 0.7):
            parts.append(tube((0, 0, z * h), (0, 0, (z + 0.025) * h), 0.112 * h, material("reflector")))
    else:
        parts.append(ball((-0.012 * h, 0, 0.945 * h), (0.055 * h, 0.052 * h, 0.057 * h), cloth, _any(rng, HAIR)))
        if rng.random() < 0.4:
            bag = _any(rng, CLOTHES)
            parts.append(box((-0.14 * h, -0.075 * h, 0.58 * h), (-0.055 * h, 0.075 * h, 0.79 * h), cloth, bag))
    return merged(parts)


def bicycle(rng: np.random.Generator, size: ndarray, rider: bool) -> Mesh:
    """Build a bicycle with or without its rider; both fit in `size`."""
    length = size[0]
    paint, color = (
        material("car_paint"),
        _any(rng, ((0.4, 0.03, 0.03), (0.03, 0.12, 0.35), (0.05, 0.05, 0.05), (0.1, 0.3, 0.2))),
    )
    radius = 0.19 * length
    parts = [_spoked_wheel(x, radius, 0.022) for x in (-0.5 * length + radius, 0.5 * length - radius)]
    rear, front = (-0.5 * length + radius, 0, radius), (0.5 * length - radius, 0, radius)
    crank, saddle, head = (
        (-0.04 * length, 0, 0.9 * radius),
        (-0.13 * length, 0, 0.52 * length),
        (0.24 * length, 0, 0.5 * length),
    )
    for a, b in ((rear, crank), (crank, saddle), (rear, saddle), (crank, head), (saddle, head), (head, front)):
        parts.append(tube(a, b, 0.02, paint, color, sides=6))
    grip = 0.58 * length
    parts.append(tube(head, (0.22 * length, 0, grip), 0.017, material("chrome"), sides=6))
    parts.append(tube((0.19 * length, -0.28, grip), (0.19 * length, 0.28, grip), 0.018, material("trim"), sides=6))
    parts.append(box((-0.22 * length, -0.07, 0.53 * length), (-0.06 * length, 0.07, 0.56 * length), material("rubber")))
    if rider:
        parts += _rider(
            rng, (-0.13 * length, 0.57 * length), (0.19 * length, grip), (-0.02 * length, 0.5 * radius), 0.62, None
        )
    return merged(parts)


def motorcycle(rng: np.random.Generator, size: ndarray, rider: bool) -> Mesh:
    """Build a motorcycle with or without its rider; both fit in `size`."""
    length = size[0]
    paint, color = (
        material("car_paint"),
        _any(rng, ((0.35, 0.02, 0.02), (0.02, 0.06, 0.22), (0.03, 0.03, 0.03), (0.5, 0.3, 0.02))),
    )
    radius, seat = 0.15 * length, 0.37 * length
    parts = [_spoked_wheel(x, radius, 0.06) for x in (-0.5 * length + radius, 0.5 * length - radius)]
    tank = [
        (-0.02 * length, 0.1, 0.31 * length, 0.4 * length),
        (0.08 * length, 0.15, 0.3 * length, 0.46 * length),
        (0.2 * length, 0.12, 0.31 * length, 0.44 * length),
    ]
    parts += [
        stations(tank, paint, color, bevel=0.06),
        stations(
            [
                (-0.4 * length, 0.09, 0.37 * length, 0.42 * length),
                (-0.2 * length, 0.14, 0.33 * length, seat),
                (0.0, 0.12, 0.33 * length, seat),
            ],
            material("rubber"),
        ),
        box(
            (-0.12 * length, -0.14, 0.09 * length),
            (0.14 * length, 0.14, 0.3 * length),
            material("trim"),
            (0.08, 0.08, 0.085),
        ),
        tube((-0.1 * length, -0.17, 0.12 * length), (-0.42 * length, -0.19, 0.15 * length), 0.05, material("chrome")),
        tube((-0.05 * length, 0, 0.2 * length), (-0.5 * length + radius, 0, radius), 0.05, material("trim")),
        tube((0.18 * length, 0, 0.48 * length), (0.5 * length - radius, 0, radius), 0.05, material("chrome")),
        tube(
            (0.15 * length, -0.36, 0.52 * length),
            (0.15 * length, 0.36, 0.52 * length),
            0.025,
            material("trim"),
            sides=6,
        ),
        ball((0.24 * length, 0, 0.44 * length), (0.08, 0.09, 0.09), material("headlight"), detail=1),
        box(
            (-0.5 * length + 0.02, -0.07, 0.37 * length), (-0.46 * length, 0.07, 0.42 * length), material("tail_light")
        ),
    ]
    if rider:
        parts += _rider(
            rng, (-0.12 * length, seat), (0.15 * length, 0.52 * length), (0.0, 0.13 * length), 0.58, (0.05, 0.05, 0.06)
        )
    return merged(parts)


def _rider(
    rng: np.random.Generator, seat: tuple, grip: tuple, pedal: tuple, torso: float, helmet: tuple | None
) -> list[Mesh]:
    """Build someone between saddle, handlebar and pedals, each given as (x, z) in metres."""
    cloth, top, trousers, skin = material("cloth"), _any(rng, CLOTHES), _any(rng, TROUSERS), _any(rng, SKIN)
    x, z = seat
    neck = (x + 0.5 * torso, 0.0, z + 0.9 * torso)
    parts = [tube((x, 0, z - 0.02), neck, (0.15, 0.17), cloth, top, sides=10)]
    head = (neck[0] + 0.06, 0.0, neck[2] + 0.2)
    parts.append(tube(neck, head, 0.055, material("skin"), skin, sides=6))
    parts.append(ball(head, (0.105, 0.088, 0.125), material("skin"), skin))
    cap = helmet if helmet is not None else _any(rng, CLOTHES)
    parts.append(ball((head[0] - 0.01, 0, head[2] + 0.05), (0.13, 0.115, 0.1), material("panel"), cap))
    for side in (-1, 1):
        shoulder, hand = (neck[0], side * 0.19, neck[2] - 0.06), (grip[0], side * 0.24, grip[1])
        parts.append(tube(shoulder, hand, (0.055, 0.04), cloth, top))
        hip, foot = (x, side * 0.1, z), (pedal[0] + side * 0.06, side * 0.13, pedal[1])
        knee = (max(x + 0.36, foot[0] + 0.12), side * 0.15, 0.5 * (z + foot[2]) + 0.1)
        parts.append(tube(hip, knee, (0.09, 0.07), cloth, trousers))
        parts.append(tube(knee, foot, (0.065, 0.05), cloth, trousers))
        parts.append(
            box(
                (foot[0] - 0.08, foot[1] - 0.045, foot[2] - 0.05),
                (foot[0] + 0.16, foot[1] + 0.045, foot[2] + 0.03),
                material("rubber"),
            )
        )
    return parts


def _spoked_wheel(x: float, radius: float, half_width: float) -> Mesh:
    """Build a ring with a hub and a few spokes."""
    angle = np.linspace(0, 2 * np.pi, 18, endpoint=False)
    profile = ((1.0, -1), (1.0, 1), (0.84, 1), (0.84, -1), (1.0, -1))
    rings = [
        [(x + radius * r * np.cos(t), side * half_width, radius + radius * r * np.sin(t)) for t in angle]
        for r, side in profile
    ]
    parts = [loft(np.array(rings)[::-1], material("rubber"), capped=False)]
    parts.append(
        tube((x, -1.6 * half_width, radius), (x, 1.6 * half_width, radius), 0.16 * radius, material("chrome"), sides=6)
    )
    for t in angle[::3]:
        end = (x + 0.9 * radius * np.cos(t), 0, radius + 0.9 * radius * np.sin(t))
        parts.append(tube((x, 0, radius), end, 0.012, material("chrome"), sides=4))
    return merged(parts)


def cone(rng: np.random.Generator, size: ndarray) -> Mesh:
    """Build a traffic cone with two white bands."""
    length, w, h = size
    radius = 0.38 * min(length, w)
    parts = [
        box(
            (-0.5 * length, -0.5 * w, 0),
            (0.5 * length, 0.5 * w, 0.05 * h),
            material("signal_plastic"),
            (0.5, 0.09, 0.02),
        )
    ]
    bands = ((0.05, 0.35, False), (0.35, 0.55, True), (0.55, 0.68, False), (0.68, 0.82, True), (0.82, 1.0, False))
    for low, high, white in bands:
        radii = (radius * (1.08 - low), radius * (1.08 - high))
        parts.append(
            tube(
                (0, 0, low * h), (0, 0, high * h), radii, material("reflector" if white else "signal_plastic"), sides=14
            )
        )
    return merged(parts)


def barrier(rng: np.random.Generator, size: ndarray) -> Mesh:
    """Build a road barrier across x: a plastic wall with red and white fields stands on two feet."""
    length, w, h = size
    plastic = material("signal_plastic")
    colors = ((0.62, 0.05, 0.03), (0.7, 0.7, 0.68))
    parts = []
    edges = np.linspace(-0.5 * w, 0.5 * w, 7)
    for k, (a, b) in enumerate(pairwise(edges)):
        parts.append(box((-0.16 * length, a, 0.55 * h), (0.16 * length, b, h), plastic, colors[k % 2]))
    parts.append(box((-0.2 * length, -0.5 * w, 0.12 * h), (0.2 * length, 0.5 * w, 0.55 * h), plastic, colors[1]))
    for y in (-0.34 * w, 0.34 * w):
        parts.append(box((-0.5 * length, y - 0.12, 0), (0.5 * length, y + 0.12, 0.14 * h), material("rubber")))
        parts.append(tube((0, y, 0.95 * h), (0, y, 1.06 * h), 0.06, material("lamp"), (0.75, 0.35, 0.02)))
    return merged(parts)


def _any(rng: np.random.Generator, colors: tuple) -> ndarray:
    return np.array(colors[rng.integers(len(colors))]) * rng.uniform(0.85, 1.15)
