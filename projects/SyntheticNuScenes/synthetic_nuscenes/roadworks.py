"""This module digs up roads and pavements: works of several sorts, lone barriers and lone cones."""

import numpy as np

from .actors import Plan
from .kerb_room import Kerbside
from .parked import PARKED, STOPPED
from .paths import Still
from .scenery import KeepOut
from .town import KERB_HEIGHT


def dig_up(plan: Plan, sides: list[Kerbside]) -> None:
    """Place road works along kerbs; how many there are differs from town to town."""
    rng = plan.rng
    usual = rng.gamma(1.5, 0.5)
    for number in rng.permutation(len(sides)):
        side = sides[number]
        if rng.random() < 0.16 * usual:
            _works(plan, side)


def _works(plan: Plan, side: Kerbside) -> None:
    """Close the parking lane, and perhaps the lane beside it, for some metres."""
    rng, kerb = plan.rng, side.kerb
    length = float(rng.uniform(4, 40))
    along = side.draw(rng, length + 6)
    if along is None:
        return
    side.take(along - length / 2 - 3, along + length / 2 + 3)
    width = kerb.parking if kerb.parking and rng.random() < 0.6 else kerb.parking + kerb.lane_width - 0.3
    start, stop = along - length / 2, along + length / 2
    fence = str(rng.choice(["cone", "barrier"]))
    step = float(rng.uniform(1.3, 4.0)) if fence == "cone" else float(rng.uniform(2.2, 3.0))
    for s in np.arange(start, stop + 0.1, step):
        _put(plan, side, fence, s, width, -np.pi / 2 + rng.normal(0, 0.06))
    for end in (start, stop):
        if rng.random() < 0.6:
            for offset in np.arange(1.1, width - 0.6, 2.25):
                _put(plan, side, "barrier", end, offset, rng.normal(0, 0.08))
        else:
            for offset in np.arange(0.4, width - 0.5, 1.2):
                _put(plan, side, "cone", end, offset, rng.uniform(-3, 3))
    for _ in range(rng.integers(0, 3)):
        name = str(rng.choice(["digger", "truck"], p=[0.7, 0.3]))
        yaw = rng.normal(0, 0.1) + np.pi * rng.integers(2)
        _put(plan, side, name, rng.uniform(start + 3, max(stop - 3, start + 3.1)), width / 2 - 0.2, yaw)
    for _ in range(rng.poisson(1.2)):
        _put(plan, side, "worker", rng.uniform(start, stop), rng.uniform(0.3, width - 0.5), rng.uniform(-3, 3))


def _put(plan: Plan, side: Kerbside, name: str, along: float, offset: float, yaw: float) -> bool:
    x, y, heading = side.kerb.place(float(along), float(offset))
    rest = {"digger": STOPPED, "truck": PARKED, "worker": "pedestrian.standing"}.get(name, "")
    if offset < 0:
        plan.keep_out.append(KeepOut(x, y, 1.5))
    return plan.put(name, Still(x, y, heading + yaw), KERB_HEIGHT if offset < 0 else 0.0, rest, gap=-0.05)
