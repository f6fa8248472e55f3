"""This module digs up roads, pavements, squares and yards."""

import numpy as np
import shapely

from synthetic_nuscenes.geometry.paths import Still
from synthetic_nuscenes.town.town import KERB_HEIGHT

from .actors import Plan
from .kerb_room import Kerbside
from .places import random_points
from .sites import BARRIER, CONE, STEPS, Ground, draw_sides, straight

_KERB_SITES = ("parking", "lane", "taper", "pavement", "corner", "hole")


def dig_up(plan: Plan, sides: list[Kerbside]) -> None:
    """Place road works of all sorts; how many there are differs from town to town."""
    rng = plan.rng
    usual = rng.gamma(2.0, 0.5)
    sorts = rng.dirichlet(np.full(len(_KERB_SITES), 1.5))
    for number in rng.permutation(len(sides)):
        for _ in range(rng.poisson(0.7 * usual)):
            _at_kerb(plan, sides[number], str(rng.choice(_KERB_SITES, p=sorts)))
    grounds = [
        (block.behind_pavement(0.5), KERB_HEIGHT) for block in plan.town.blocks if block.kind in ("plaza", "green")
    ] + [(lot.outline.buffer(-1.0), 0.0) for lot in plan.town.lots]
    for ground, height in grounds:
        for _ in range(rng.poisson(0.7 * usual) if not ground.is_empty else 0):
            _on_ground(plan, ground, height)


def _at_kerb(plan: Plan, side: Kerbside, sort: str) -> None:
    """Place one site at a kerb, where there is room for it."""
    rng, kerb = plan.rng, side.kerb
    length = float(rng.uniform(4, 14) if rng.random() < 0.6 else rng.uniform(14, 40))
    road, pavement = Ground(plan, kerb.place, 0.0), Ground(plan, kerb.place, KERB_HEIGHT)
    if sort == "corner":
        # The first or the last metres of the kerb, where nobody parks.
        length = min(length, kerb.clear + 4)
        start = rng.uniform(0.5, 2.0) if rng.random() < 0.5 else kerb.path.length - length - rng.uniform(0.5, 2.0)
        along = float(start + length / 2)
    elif sort == "hole":
        length = float(rng.uniform(1.2, 3.5))
        along = float(rng.uniform(4, max(kerb.path.length - 4, 5)))
    else:
        drawn = side.draw(rng, length)
        if drawn is None:
            return
        along = drawn
    start, stop = along - length / 2, along + length / 2
    if sort == "pavement":
        _on_pavement(pavement, side, start, stop)
    elif sort == "hole":
        left = float(rng.uniform(0.5, kerb.parking + kerb.lane_width))
        half = float(rng.uniform(0.7, 1.3))
        road.fence(start, stop, left - half, left + half, draw_sides(rng))
    elif sort == "parking" and kerb.parking:
        side.take(start - 0.5, stop + 0.5)
        road.fence(start, stop, 0.4, kerb.parking, draw_sides(rng, "sel"))
        road.fill(start, stop, 0.2, kerb.parking)
    else:
        side.take(start - 0.5, stop + 0.5)
        width = kerb.parking + kerb.lane_width * rng.uniform(0.55, 0.95)
        if sort == "taper":
            # Cones lead out of the lane before the site.
            taper = float(min(rng.uniform(5, 20), start))
            name = CONE if rng.random() < 0.85 else BARRIER
            road.row(name, (start - taper, 0.4), (start, width), float(rng.uniform(*STEPS[name])))
            plan.close_lane(kerb.road, kerb.direction, start - taper, stop)
            road.fence(start, stop, 0.4, width, draw_sides(rng, "sel" if rng.random() < 0.5 else "el"))
        else:
            plan.close_lane(kerb.road, kerb.direction, start, stop)
            road.fence(start, stop, 0.4, width, draw_sides(rng, "sel"))
        road.fill(start, stop, 0.3, width - 0.3)


def _on_pavement(pavement: Ground, side: Kerbside, start: float, stop: float) -> None:
    """Fence off the pavement, or a part of its width."""
    rng = pavement.plan.rng
    if side.pavement < 1.4:
        return
    far = -float(rng.uniform(1.2, side.pavement - 0.1))
    pavement.fence(start, stop, far, -0.35, draw_sides(rng))
    pavement.fill(start, stop, far + 0.2, -0.5)


def _on_ground(plan: Plan, ground: shapely.Geometry, height: float) -> None:
    """Fence off a rectangle of a park, a square, a car park or a yard."""
    rng = plan.rng
    middle = random_points(rng, ground, 1)[0]
    length, width = float(rng.uniform(5, 24)), float(rng.uniform(4, 14))
    place = straight(*middle.tolist(), float(rng.uniform(-np.pi, np.pi)))
    corners = [place(a * length / 2, b * width / 2)[:2] for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    if not ground.contains(shapely.Polygon(corners)):
        return
    site = Ground(plan, place, height)
    site.fence(-length / 2, length / 2, -width / 2, width / 2, draw_sides(rng))
    site.fill(-length / 2 + 0.6, length / 2 - 0.6, -width / 2 + 0.6, width / 2 - 0.6)
    if rng.random() < 0.3:
        # A heap of things beside the site: a trailer that serves as its office.
        x, y, yaw = place(0.0, width / 2 + 2.5)
        if shapely.contains_xy(ground, x, y):
            plan.put("small trailer", Still(x, y, yaw), height, "vehicle.parked")
