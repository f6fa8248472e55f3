"""This module places barriers and cones that belong to no site: events, closed lanes, reserved places, manholes."""

import numpy as np
import shapely

from synthetic_nuscenes.town.town import KERB_HEIGHT

from .actors import Plan
from .kerb_room import Kerbside
from .places import random_points
from .sites import BARRIER, CONE, LONG_BARRIER, STEPS, Ground, straight


def scatter(plan: Plan, sides: list[Kerbside]) -> None:
    """Place loose barriers and cones; how many there are differs from town to town."""
    rng = plan.rng
    barriers, cones = rng.gamma(1.6, 0.6, 2)
    for side in sides:
        if rng.random() < 0.38 * barriers:
            _barriers_at_kerb(plan, side)
        for _ in range(rng.poisson(0.34 * cones)):
            _cones_at_kerb(plan, side)
    for block in plan.town.blocks:
        inner = block.behind_pavement(0.5)
        if block.kind == "plaza" and not inner.is_empty:
            for _ in range(rng.poisson(0.8 * barriers)):
                _row_on_ground(plan, inner, _barrier(rng), KERB_HEIGHT)
    for lot in plan.town.lots:
        for name, rate in ((BARRIER, barriers), (CONE, cones)):
            for _ in range(rng.poisson(0.7 * rate)):
                _row_on_ground(plan, lot.outline, name, 0.0)


def _barriers_at_kerb(plan: Plan, side: Kerbside) -> None:
    """Place a row along the pavement's edge, a row that closes the lane, or single ones that nobody took away."""
    rng, kerb = plan.rng, side.kerb
    along = float(rng.uniform(1, kerb.path.length - 1))
    sort = rng.choice(["edge", "closed", "single"], p=[0.45, 0.25, 0.3])
    if sort == "edge":
        name, count = _barrier(rng), int(rng.integers(3, 20))
        step = float(rng.uniform(*STEPS[name]))
        stop = min(along + count * step, kerb.path.length)
        left = -float(rng.uniform(0.3, max(side.pavement - 0.4, 0.4)))
        if side.block is not None and stop - along > 2.5:
            Ground(plan, kerb.place, KERB_HEIGHT).row(name, (along, left), (stop, left), step)
    elif sort == "closed":
        low, high = (kerb.parking if rng.random() < 0.5 else 0.3), kerb.parking + kerb.lane_width
        Ground(plan, kerb.place, 0.0).row(BARRIER, (along, low), (along + rng.normal(0, 0.5), high), 2.3)
        plan.close_lane(kerb.road, kerb.direction, along - 1, along + 1)
    else:
        height = KERB_HEIGHT if side.block is not None and rng.random() < 0.6 else 0.0
        low, high = (-max(side.pavement - 0.3, 0.5), -0.4) if height else (0.4, max(kerb.parking, 0.6))
        for _ in range(rng.geometric(0.6)):
            place = along + rng.normal(0, 2.0), rng.uniform(low, high)
            Ground(plan, kerb.place, height).put(BARRIER, *place, rng.uniform(-np.pi, np.pi))


def _cones_at_kerb(plan: Plan, side: Kerbside) -> None:
    """Place cones round a manhole, a row that keeps a parking place free, a line between lanes, or single ones."""
    rng, kerb = plan.rng, side.kerb
    along = float(rng.uniform(1, kerb.path.length - 1))
    road = Ground(plan, kerb.place, 0.0)
    sort = rng.choice(["manhole", "reserved", "line", "single"])
    if sort == "manhole":
        left, radius, count = (
            rng.uniform(0.8, kerb.parking + kerb.lane_width),
            rng.uniform(0.6, 1.3),
            rng.integers(3, 7),
        )
        for angle in rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(count) / count:
            road.put(CONE, along + radius * np.cos(angle), left + radius * np.sin(angle), rng.uniform(-3, 3))
    elif sort == "reserved" and kerb.parking:
        length = float(rng.uniform(3, 14))
        drawn = side.draw(rng, length)
        if drawn is not None:
            side.take(drawn - length / 2, drawn + length / 2)
            left, step = rng.uniform(0.5, kerb.parking), float(rng.uniform(*STEPS[CONE]))
            road.row(CONE, (drawn - length / 2, left), (drawn + length / 2, left), step)
    elif sort == "line":
        left, length = kerb.parking + rng.uniform(-0.2, 0.4), rng.uniform(4, 25)
        road.row(CONE, (along, left), (min(along + length, kerb.path.length), left), float(rng.uniform(*STEPS[CONE])))
    else:
        raised = side.block is not None and rng.random() < 0.5
        ground = Ground(plan, kerb.place, KERB_HEIGHT) if raised else road
        low, high = (-max(side.pavement - 0.2, 0.5), -0.3) if raised else (0.3, max(kerb.parking, 0.5))
        for _ in range(rng.geometric(0.5)):
            ground.put(CONE, along + rng.normal(0, 1.5), rng.uniform(low, high), rng.uniform(-3, 3))


def _row_on_ground(plan: Plan, ground: shapely.Geometry, name: str, height: float) -> None:
    """Place a straight row somewhere on open ground."""
    rng = plan.rng
    x, y = random_points(rng, ground, 1)[0].tolist()
    step = float(rng.uniform(*STEPS[name]))
    length = float(step * rng.integers(2, 12))
    place = straight(x, y, float(rng.uniform(-np.pi, np.pi)))
    if ground.contains(shapely.LineString([(x, y), place(length, 0.0)[:2]])):
        Ground(plan, place, height).row(name, (0.0, 0.0), (length, 0.0), step)


def _barrier(rng: np.random.Generator) -> str:
    return LONG_BARRIER if rng.random() < 0.3 else BARRIER
