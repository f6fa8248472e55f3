"""This module builds people on foot, who stand or walk; x is forward, and the ground is z = 0."""

import numpy as np
from numpy import ndarray

from synthetic_nuscenes.geometry.materials import material
from synthetic_nuscenes.geometry.mesh import Mesh, ball, box, loft, merged, tube

from .gait import GaitMesh, two_bones, with_gait

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
POSES = 12
"""Number of poses in a stride of two steps."""


def any_of(rng: np.random.Generator, colors: tuple) -> ndarray:
    """Draw one of the colors, a little lighter or darker."""
    return np.array(colors[rng.integers(len(colors))]) * rng.uniform(0.85, 1.15)


def walker(rng: np.random.Generator, h: float, top: ndarray | tuple, helmet: tuple | None) -> GaitMesh:
    """Build someone `h` metres tall in clothes and perhaps a helmet of these colors; helmets go with signal vests."""
    skin, trousers = any_of(rng, SKIN), any_of(rng, TROUSERS)
    torso = merged(_torso_and_head(rng, h, top, skin, helmet))
    figure = _Figure(h, torso, top, trousers, skin)
    # The foot on the ground goes back as fast as the body goes forward, half a stride in half a cycle.
    reach = 0.15 * h
    walking = [figure.walking((k + 0.5) / POSES, reach) for k in range(POSES)]
    return with_gait([figure.standing(0.07 * h), *walking], stride=4 * reach)


class _Figure:
    """A `_Figure` is a torso with limbs that hang down from the origin until a pose puts them in place.

    Args:
        h: height of the body, metres.
    """

    def __init__(self, h: float, torso: Mesh, top: ndarray | tuple, trousers: ndarray, skin: ndarray) -> None:
        self.torso, self.ankle = torso, 0.035 * h
        cloth = material("cloth")
        self.h, self.thigh_length, self.shin_length, self.arm_length = h, 0.245 * h, 0.235 * h, 0.16 * h
        self.thigh = tube((0, 0, 0), (0, 0, -self.thigh_length), (0.055 * h, 0.042 * h), cloth, trousers)
        self.shin = tube((0, 0, 0), (0, 0, -self.shin_length), (0.042 * h, 0.03 * h), cloth, trousers)
        low, high = (-0.03 * h, -0.028 * h, -0.035 * h), (0.085 * h, 0.028 * h, 0.015 * h)
        self.shoe = box(low, high, material("rubber"))
        self.upper_arm = tube((0, 0, 0), (0, 0, -self.arm_length), (0.035 * h, 0.028 * h), cloth, top)
        hand = ball((0, 0, -0.15 * h), [0.025 * h] * 3, material("skin"), skin, detail=1)
        self.forearm = merged([tube((0, 0, 0), (0, 0, -0.15 * h), (0.028 * h, 0.02 * h), cloth, top), hand])

    def standing(self, apart: float) -> Mesh:
        """Return someone who stands with one foot `apart` metres before the hips and the other behind them."""
        hips = self._hips_over(apart)
        parts = []
        for side in (-1, 1):
            parts += self._leg(side, hips, side * apart, self.ankle) + self._arm(side, hips, 0.1, 0.35)
        return self._with_torso(hips, parts)

    def walking(self, phase: float, reach: float) -> Mesh:
        """Return someone at a phase (0 to 1) of the stride, whose feet come down `reach` metres ahead."""
        hips = self._hips_over(reach * (1 - 4 * (phase % 0.5)))
        parts = []
        for side, own in ((-1, phase), (1, (phase + 0.5) % 1.0)):
            lift = 0.0
            if own < 0.5:
                x = reach * (1 - 4 * own)
            else:
                swing = 2 * own - 1
                x, lift = -reach * np.cos(np.pi * swing), 0.05 * self.h * np.sin(np.pi * swing)
            forward = np.cos(2 * np.pi * own)
            parts += self._leg(side, hips, x, self.ankle + lift)
            parts += self._arm(side, hips, -0.42 * forward, 0.3 - 0.2 * forward)
        return self._with_torso(hips, parts)

    def _hips_over(self, foot: float) -> float:
        """Return the height (m) of the hips over a foot that far ahead: the leg that stands is nearly straight."""
        straight = 0.996 * (self.thigh_length + self.shin_length)
        return self.ankle + float(np.sqrt(straight**2 - foot**2))

    def _with_torso(self, hips: float, parts: list[Mesh]) -> Mesh:
        return merged([self.torso.moved((0.0, 0.0, hips - 0.513 * self.h)), *parts])

    def _leg(self, side: int, hips: float, x: float, z: float) -> list[Mesh]:
        """Return the leg of a side (±1) with its ankle at x, z (m)."""
        y = side * 0.058 * self.h
        hip, knee = two_bones(x, z - hips, self.thigh_length, self.shin_length)
        joint = (self.thigh_length * np.sin(hip), y, hips - self.thigh_length * np.cos(hip))
        return [
            self.thigh.swung(hip, (0, y, hips)),
            self.shin.swung(knee, joint),
            self.shoe.swung(0.0, (x, y, z)),
        ]

    def _arm(self, side: int, hips: float, swing: float, bend: float) -> list[Mesh]:
        y, shoulder = side * 0.135 * self.h, hips + 0.287 * self.h
        elbow = (self.arm_length * np.sin(swing), y, shoulder - self.arm_length * np.cos(swing))
        return [self.upper_arm.swung(swing, (0, y, shoulder)), self.forearm.swung(swing + bend, elbow)]


def _torso_and_head(
    rng: np.random.Generator, h: float, top: ndarray | tuple, skin: ndarray, helmet: tuple | None
) -> list[Mesh]:
    cloth, parts = material("cloth"), []
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    rings = [
        [(a * h * np.cos(t), b * h * np.sin(t), z * h) for t in angle]
        for a, b, z in (
            (0.06, 0.09, 0.45),
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
        return parts
    parts.append(ball((-0.012 * h, 0, 0.945 * h), (0.055 * h, 0.052 * h, 0.057 * h), cloth, any_of(rng, HAIR)))
    if rng.random() < 0.4:
        bag = any_of(rng, CLOTHES)
        parts.append(box((-0.14 * h, -0.075 * h, 0.58 * h), (-0.055 * h, 0.075 * h, 0.79 * h), cloth, bag))
    return parts
