"""This module parks vehicles along kerbs, in car parks and yards, at bus stops; and cycles where people leave them."""

from dataclasses import dataclass, replace

import numpy as np

from synthetic_nuscenes.geometry.paths import Still
from synthetic_nuscenes.mixes import Mix, pick
from synthetic_nuscenes.town.lots import CAR_PARK, Lot
from synthetic_nuscenes.town.town import KERB_HEIGHT

from .actors import Plan
from .grounds import corners
from .kerb_room import Kerbside, nearest
from .places import random_points

PARKED, STOPPED, RIDERLESS = "vehicle.parked", "vehicle.stopped", "cycle.without_rider"

_LENGTHS = {"car": 4.9, "truck": 7.6, "trailer": 10.5, "small trailer": 7.0, "bus": 11.5, "digger": 7.0}
_WIDTHS = {"car": 1.95, "truck": 2.5, "trailer": 2.7, "small trailer": 2.4, "bus": 2.9, "digger": 2.75}
_KERB_MIX = {
    "old town": (("car", 0.82), ("truck", 0.09), ("small trailer", 0.06), ("digger", 0.03)),
    "suburb": (("car", 0.77), ("truck", 0.09), ("small trailer", 0.09), ("bus", 0.02), ("digger", 0.03)),
    "centre": (("car", 0.74), ("truck", 0.12), ("bus", 0.06), ("trailer", 0.05), ("digger", 0.03)),
    "industrial": (("car", 0.54), ("truck", 0.2), ("trailer", 0.18), ("bus", 0.04), ("digger", 0.04)),
}
_YARDS = (
    (("trailer", 0.75), ("truck", 0.25)),
    (("truck", 0.7), ("trailer", 0.2), ("car", 0.1)),
    (("bus", 0.9), ("car", 0.1)),
    (("digger", 0.6), ("truck", 0.3), ("trailer", 0.1)),
    (("truck", 0.3), ("trailer", 0.3), ("digger", 0.15), ("bus", 0.1), ("car", 0.15)),
)
_FAIRS = (
    (("small trailer", 0.5), ("light truck", 0.3), ("van", 0.2)),
    (("trailer", 0.4), ("truck", 0.4), ("bus", 0.2)),
    (("bus", 0.6), ("car", 0.4)),
)


@dataclass(frozen=True)
class _Habit:
    """A `_Habit` says how vehicles are parked along one kerb."""

    fill: float
    """Share of the room that is taken."""
    mix: Mix
    motorcycles: float
    """Share of places with motorcycles."""
    against: float
    """Share of vehicles that look against the traffic."""
    angle: float
    """Angle to the kerb (rad), 0 for parallel parking."""
    inward: float
    """How far (m) vehicles stand on the pavement."""


def park_along_kerbs(plan: Plan, sides: list[Kerbside]) -> None:
    """Fill what is free along the kerbs; each kerb has its own habits."""
    rng = plan.rng
    full = rng.beta(2.4, 1.2)
    for side in sides:
        habit = _draw_habit(plan, side, full)
        for start, stop in list(side.free):
            along = start + rng.uniform(0.0, 3.0)
            while along < stop - 2.5:
                if rng.random() < habit.fill:
                    along = _park(plan, side, habit, along, stop)
                else:
                    along += rng.exponential(6.0)
        if rng.random() < 0.12 * plan.busyness:
            _double_park(plan, side)


def _draw_habit(plan: Plan, side: Kerbside, full: float) -> _Habit:
    rng = plan.rng
    wide = side.kerb.parking > 0
    fill = 0.0 if rng.random() < 0.1 else float(np.clip(rng.normal(full, 0.25), 0.05, 0.98))
    inward = angle = 0.0
    if not wide:
        # Where there is no room for it, a few stand with two wheels or all four on the pavement.
        fill, inward = (fill * 0.4 if rng.random() < 0.2 else 0.0), float(rng.uniform(0.9, 1.7))
    elif rng.random() < 0.2:
        inward = float(rng.uniform(0.3, 1.2))
    elif side.pavement > 2.2 and rng.random() < 0.2:
        angle = float(rng.choice([-1.0, 1.0]) * rng.choice([np.pi / 2, rng.uniform(0.7, 1.2)]))
    against = rng.uniform(0.1, 0.5) if rng.random() < 0.3 else 0.03
    motorcycles = rng.uniform(0.05, 0.35) if rng.random() < 0.4 else 0.02
    mix = _KERB_MIX[plan.town.style]
    if inward or angle:
        mix = (("car", 1.0),)
    return _Habit(fill, mix, float(motorcycles), float(against), angle, min(inward, side.pavement * 0.6))


def _park(plan: Plan, side: Kerbside, habit: _Habit, along: float, stop: float) -> float:
    """Park one vehicle or a row of motorcycles behind `along`, and return where the next one may begin."""
    rng, kerb = plan.rng, side.kerb
    if rng.random() < habit.motorcycles:
        return _motorcycles(plan, side, along, stop)
    name = pick(rng, habit.mix)
    turn = np.pi if rng.random() < habit.against else 0.0
    angled = habit.angle != 0
    length = 2.5 / np.sin(abs(habit.angle)) if angled else _LENGTHS[name]
    if along + length > stop:
        return stop
    if angled:
        # The tail or the nose stays inside the parking lane, the rest is over the pavement.
        offset = kerb.parking - 2.5 * np.sin(abs(habit.angle)) + rng.normal(0, 0.15)
    else:
        offset = _WIDTHS[name] / 2 + rng.uniform(0.05, 0.45) - habit.inward
        if offset < 0:
            # Never the half of it: with two wheels on the pavement, or with all four where that is wide.
            wide = side.pavement > _WIDTHS[name] + 0.5
            offset = -_WIDTHS[name] / 2 - 0.2 if wide else rng.uniform(0.1, 0.4)
    x, y, heading = kerb.place(along + length / 2, offset)
    place = Still(x, y, heading + turn + habit.angle + rng.normal(0, 0.03))
    parked = plan.draw(name, place, 0.0, PARKED)
    # Four wheels on the pavement, or all of it at the height of the road.
    parked = replace(parked, ground=plan.grounds.height(corners(place, parked.size, 0.85)))
    plan.put_together([parked], gap=0.1)
    return float(along + length + (rng.uniform(0.1, 0.5) if angled else rng.gamma(2.0, 0.45)))


def _motorcycles(plan: Plan, side: Kerbside, along: float, stop: float) -> float:
    """Park one motorcycle or a row of them, slanted to the kerb."""
    rng = plan.rng
    count, slant = int(rng.geometric(0.45)), rng.uniform(0.6, 2.5)
    if side.kerb.parking == 0:
        return along + 3.0
    for _ in range(count):
        along += 0.55
        if along + 0.6 > stop:
            break
        x, y, heading = side.kerb.place(along, rng.uniform(0.95, 1.3))
        yaw = heading + slant + rng.normal(0, 0.12)
        plan.put("motorcycle", Still(x, y, yaw), 0.0, RIDERLESS, gap=0.0)
        along += 0.55
    return along + rng.uniform(0.3, 1.0)


def _double_park(plan: Plan, side: Kerbside) -> None:
    """Stop a vehicle in the lane, beside the parked ones."""
    rng, kerb = plan.rng, side.kerb
    name = pick(rng, (("truck", 0.6), ("car", 0.4)))
    along = rng.uniform(kerb.clear + 4, max(kerb.path.length - kerb.clear - 4, kerb.clear + 5))
    x, y, heading = kerb.place(along, kerb.parking + _WIDTHS[name] / 2 + rng.uniform(0.1, 0.5))
    if plan.put(name, Still(x, y, heading + rng.normal(0, 0.03)), 0.0, STOPPED):
        plan.close_lane(kerb.road, kerb.direction, along - 5, along + 5)


def stop_buses(plan: Plan, sides: list[Kerbside]) -> None:
    """Keep bus stops free, and let buses stand at some of them."""
    rng = plan.rng
    for x, y, heading in plan.town.stops:
        side, along = nearest(sides, x, y)
        side.take(along - 10, along + 10)
        if rng.random() < 0.75:
            offset = rng.uniform(1.6, 2.0)
            place = Still(x - offset * np.sin(heading), y + offset * np.cos(heading), heading + rng.normal(0, 0.03))
            if plan.put("bus", place, 0.0, STOPPED) and not side.kerb.parking:
                plan.close_lane(side.kerb.road, side.kerb.direction, along - 7, along + 7)


def park_in_lots(plan: Plan) -> None:
    """Fill the stalls of car parks and yards, each lot to its own share."""
    for lot in plan.town.lots:
        if lot.kind == CAR_PARK:
            _fill_car_park(plan, lot)
        else:
            _fill_yard(plan, lot)


def _fill_car_park(plan: Plan, lot: Lot) -> None:
    rng = plan.rng
    share, backwards, heavy = rng.uniform(0.08, 0.92), rng.uniform(0.05, 0.6), rng.uniform(0.0, 0.16)
    for x, y, yaw in lot.stalls:
        if rng.random() > share:
            continue
        if rng.random() < 0.03:
            plan.put("motorcycle", Still(x, y, yaw + rng.normal(0, 0.2)), 0.0, RIDERLESS)
            continue
        name = "light truck" if rng.random() < heavy else "car"
        shift, side = rng.normal(0, 0.25), rng.normal(0, 0.1)
        turn = np.pi if rng.random() < backwards else 0.0
        c, s = np.cos(yaw), np.sin(yaw)
        place = Still(x + c * shift - s * side, y + s * shift + c * side, yaw + turn + rng.normal(0, 0.03))
        plan.put(name, place, 0.0, PARKED, gap=0.0)


def _fill_yard(plan: Plan, lot: Lot) -> None:
    rng = plan.rng
    share, mix = rng.uniform(0.1, 0.8), _YARDS[rng.integers(len(_YARDS))]
    for x, y, yaw in lot.stalls:
        if rng.random() > share:
            continue
        name = pick(rng, mix)
        yaw = yaw + np.pi * rng.integers(2) + rng.normal(0, 0.06)
        c, s = np.cos(yaw), np.sin(yaw)
        shift = rng.normal(0, 0.5)
        x, y = x + c * shift, y + s * shift
        if name == "trailer" and rng.random() < 0.35:
            _park_coupled(plan, x, y, yaw)
        else:
            plan.put(name, Still(x, y, yaw), 0.0, PARKED, gap=0.2)


def park_on_open_ground(plan: Plan) -> None:
    """Let markets, fairs and campers stand on squares and grass: trucks, trailers, vans and buses, in no order."""
    rng = plan.rng
    for block in plan.town.blocks:
        inner = block.behind_pavement(3.0)
        if block.kind not in ("plaza", "green") or inner.is_empty or rng.random() < 0.6:
            continue
        mix, common = _FAIRS[rng.integers(len(_FAIRS))], rng.uniform(-np.pi, np.pi)
        for x, y in random_points(rng, inner, int(rng.integers(2, 14))):
            yaw = common + (rng.normal(0, 0.1) if rng.random() < 0.5 else rng.uniform(-np.pi, np.pi))
            plan.put(pick(rng, mix), Still(float(x), float(y), float(yaw)), KERB_HEIGHT, PARKED, gap=1.0)


def _park_coupled(plan: Plan, x: float, y: float, yaw: float) -> bool:
    """Park a trailer at a place (m, rad), with a truck before it that is turned a little."""
    bend = plan.rng.normal(0, 0.15)
    trailer = plan.draw("trailer", Still(x, y, yaw), 0.0, PARKED)
    tractor = plan.draw("tractor", Still(x, y, yaw), 0.0, PARKED)
    reach, half = trailer.size[0] / 2 + 0.25, tractor.size[0] / 2
    ahead = Still(
        float(x + reach * np.cos(yaw) + half * np.cos(yaw + bend)),
        float(y + reach * np.sin(yaw) + half * np.sin(yaw + bend)),
        yaw + bend,
    )
    return plan.put_together([trailer, replace(tractor, motion=ahead)], gap=0.2)


def leave_cycles(plan: Plan) -> None:
    """Leave bicycles and a few motorcycles along pavements: at the kerb, at walls, singly and in rows."""
    rng = plan.rng
    usual = rng.gamma(2.0, 0.5)
    for block in plan.town.blocks:
        if block.kind == "island":
            continue
        # Half of a bicycle's length from the kerb and from the wall.
        at_kerb, at_wall = rng.uniform(0.9, 1.2), max(block.pavement - rng.uniform(1.0, 1.3), 0.9)
        walks = [walk for walk in (block.walk(at_kerb), block.walk(at_wall)) if walk is not None]
        number = rng.poisson(block.outline.exterior.length / 100 * usual * rng.gamma(1.0, 1.0))
        for _ in range(number if walks else 0):
            name = "bicycle" if rng.random() < 0.75 else "motorcycle"
            walk = walks[rng.integers(len(walks))]
            along, count = rng.uniform(0, walk.length), int(rng.geometric(0.4))
            slant = rng.choice([0.0, np.pi / 2, rng.uniform(0.5, 1.2)])
            step = (0.75 if name == "bicycle" else 1.0) if slant else 2.3
            for k in range(count):
                x, y, heading = walk.at(np.array([along + step * k]))[0]
                yaw = heading + slant + np.pi * (rng.random() < 0.3) + rng.normal(0, 0.12)
                plan.put(name, Still(float(x), float(y), float(yaw)), KERB_HEIGHT, RIDERLESS, gap=0.0)
