"""This module builds people, two-wheelers, cones and barriers in parts; x is forward, and the ground is z = 0."""

from itertools import pairwise

import numpy as np
from numpy import ndarray

from synthetic_nuscenes.geometry.materials import material
from synthetic_nuscenes.geometry.mesh import Mesh, ball, box, loft, merged, stations, tube

from .gait import GaitMesh, two_bones, with_gait
from .people import CLOTHES, SKIN, TROUSERS, any_of, walker

DISTANCE_PER_PEDAL_TURN = 4.5
"""Distance (m) that a bicycle goes while its pedals turn once."""


def pedestrian(rng: np.random.Generator, size: ndarray) -> GaitMesh:
    """Build a walker; `size` is length, width, height (m)."""
    return walker(rng, size[2], any_of(rng, CLOTHES), None)


def worker(rng: np.random.Generator, size: ndarray) -> GaitMesh:
    """Build a walker with a helmet and a signal vest."""
    return walker(rng, size[2], (0.7, 0.27, 0.02), (0.7, 0.55, 0.04))


def bicycle(rng: np.random.Generator, size: ndarray, rider: bool) -> Mesh:
    """Build a bicycle with or without its rider; both fit in `size`."""
    length = size[0]
    paint, color = (
        material("car_paint"),
        any_of(rng, ((0.4, 0.03, 0.03), (0.03, 0.12, 0.35), (0.05, 0.05, 0.05), (0.1, 0.3, 0.2))),
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
        legs = _Legs(rng, (-0.13 * length, 0.57 * length))
        parts += _rider(rng, (-0.13 * length, 0.57 * length), (0.19 * length, grip), 0.62, None)
        poses = [_pedal_pose(legs, crank, 0.09 * length, angle) for angle in np.linspace(0, 2 * np.pi, 9)[:-1]]
        whole = merged(parts)
        return with_gait([merged([whole, *pose]) for pose in (poses[0], *poses)], DISTANCE_PER_PEDAL_TURN)
    return merged(parts)


def motorcycle(rng: np.random.Generator, size: ndarray, rider: bool) -> Mesh:
    """Build a motorcycle with or without its rider; both fit in `size`."""
    length = size[0]
    paint, color = (
        material("car_paint"),
        any_of(rng, ((0.35, 0.02, 0.02), (0.02, 0.06, 0.22), (0.03, 0.03, 0.03), (0.5, 0.3, 0.02))),
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
        legs = _Legs(rng, (-0.12 * length, seat))
        parts += _rider(rng, (-0.12 * length, seat), (0.15 * length, 0.52 * length), 0.58, (0.05, 0.05, 0.06))
        parts += [part for side in (-1, 1) for part in legs.towards(side, 0.03 * side, 0.13 * length)]
    return merged(parts)


def _rider(rng: np.random.Generator, seat: tuple, grip: tuple, torso: float, helmet: tuple | None) -> list[Mesh]:
    """Build someone without legs between saddle and handlebar, each given as (x, z) in metres."""
    cloth, top, skin = material("cloth"), any_of(rng, CLOTHES), any_of(rng, SKIN)
    x, z = seat
    neck = (x + 0.5 * torso, 0.0, z + 0.9 * torso)
    parts = [tube((x, 0, z - 0.02), neck, (0.15, 0.17), cloth, top, sides=10)]
    head = (neck[0] + 0.06, 0.0, neck[2] + 0.2)
    parts.append(tube(neck, head, 0.055, material("skin"), skin, sides=6))
    parts.append(ball(head, (0.105, 0.088, 0.125), material("skin"), skin))
    cap = helmet if helmet is not None else any_of(rng, CLOTHES)
    parts.append(ball((head[0] - 0.01, 0, head[2] + 0.05), (0.13, 0.115, 0.1), material("panel"), cap))
    for side in (-1, 1):
        shoulder, hand = (neck[0], side * 0.19, neck[2] - 0.06), (grip[0], side * 0.24, grip[1])
        parts.append(tube(shoulder, hand, (0.055, 0.04), cloth, top))
    return parts


class _Legs:
    """`_Legs` are a rider's thighs, shins and shoes, which are built once and then put where the pedals are."""

    UPPER, LOWER = 0.46, 0.46

    def __init__(self, rng: np.random.Generator, seat: tuple[float, float]) -> None:
        cloth, trousers = material("cloth"), any_of(rng, TROUSERS)
        self.seat = seat
        self.thigh = tube((0, 0, 0), (0, 0, -self.UPPER), (0.09, 0.07), cloth, trousers)
        self.shin = tube((0, 0, 0), (0, 0, -self.LOWER), (0.065, 0.05), cloth, trousers)
        self.shoe = box((-0.08, -0.045, -0.05), (0.16, 0.045, 0.03), material("rubber"))

    def towards(self, side: int, x: float, z: float) -> list[Mesh]:
        """Return the leg of a side (±1) with its foot at x, z (m)."""
        hip, knee = two_bones(x - self.seat[0], z - self.seat[1], self.UPPER, self.LOWER)
        y = side * 0.12
        joint = (self.seat[0] + self.UPPER * np.sin(hip), y, self.seat[1] - self.UPPER * np.cos(hip))
        foot = (joint[0] + self.LOWER * np.sin(knee), y, joint[2] - self.LOWER * np.cos(knee))
        return [
            self.thigh.swung(hip, (self.seat[0], y, self.seat[1])),
            self.shin.swung(knee, joint),
            self.shoe.swung(0.0, foot),
        ]


def _pedal_pose(legs: _Legs, crank: tuple, radius: float, angle: float) -> list[Mesh]:
    """Return both legs after the pedals have turned forward by an angle (rad)."""
    parts = []
    for side in (-1, 1):
        turned = angle + (np.pi if side > 0 else 0.0)
        parts += legs.towards(side, crank[0] + radius * np.cos(turned), crank[2] - radius * np.sin(turned) + 0.05)
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
