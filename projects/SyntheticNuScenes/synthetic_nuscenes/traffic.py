"""This module places parked and driving vehicles, walkers and a building site around the path of the ego car."""

from dataclasses import dataclass

import numpy as np

from .actors import Plan
from .catalogue import KINDS
from .paths import Along, Still, StreetStart, around_block, drive_through, steady, timetable
from .scenery import KeepOut
from .town import ALONG_X, KERB_HEIGHT, PARKING_WIDTH, Street, Town


def plan_ego(town: Town, rng: np.random.Generator, begin: float, end: float) -> Along:
    """Plan a drive through the inner streets with a turn early on, at 6.5 to 9 m/s between turns."""
    cruise = rng.uniform(6.5, 9.0)
    axis, direction = int(rng.integers(2)), int(rng.choice([-1, 1]))
    streets, crossings = town.streets(axis), town.streets(1 - axis)
    street = int(rng.integers(1, len(streets) - 1))
    crossing = crossings[int(rng.integers(1, len(crossings) - 1))]
    side = int(rng.choice([-1, 1]))
    # The bend begins after about a third of the recording, a few seconds at most.
    approach = cruise * np.clip(0.3 * (end - begin), 0.7, 3.5)
    along = crossing.position - direction * (crossing.half_width + 4.0 + approach)
    start = StreetStart(axis, street, direction, float(along), lane=0 if side > 0 else 9)
    path = drive_through(town, rng, start, cruise * (end - begin) + 40, turn_at_first=side, turns=0.6)
    return timetable(path, cruise, begin, end, turn_speed=rng.uniform(3.4, 4.2))


def populate(plan: Plan) -> None:
    """Fill the streets around the ego car; every class of the detection task is among the nearest objects."""
    slots = _kerb_slots(plan)
    _building_site(plan, slots)
    _parked(plan, slots)
    _driving(plan)
    _walking(plan)


@dataclass
class _Slot:
    """A `_Slot` is free room in a parking lane."""

    street: Street
    direction: int
    start: float
    stop: float
    """Along the street, metres; start < stop."""

    def place(self, along: float, offset: float) -> tuple[float, float, float]:
        """Return x, y, yaw at a distance right of the middle of the street, looking where traffic goes."""
        across = self.street.line(self.direction, offset)
        turn = 0.0 if self.direction > 0 else np.pi
        if self.street.axis == ALONG_X:
            return along, across, turn
        return across, along, turn + np.pi / 2


def _kerb_slots(plan: Plan) -> list[_Slot]:
    """Return the parking lanes between crossings within 75 m of the ego car."""
    slots = []
    for axis in (0, 1):
        crossings = plan.town.streets(1 - axis)
        edges = [0.0] + [e for c in crossings for e in (c.position - c.half_width, c.position + c.half_width)]
        edges.append(plan.town.size[axis])
        for street in plan.town.streets(axis):
            for start, stop in zip(edges[::2], edges[1::2]):
                if stop - start < 30:
                    continue
                for direction in (-1, 1):
                    slot = _Slot(street, direction, start + 10.5, stop - 10.5)
                    ends = [slot.place(a, street.half_width)[:2] for a in np.linspace(slot.start, slot.stop, 5)]
                    if min(plan.nearness(*p) for p in ends) < 75:
                        slots.append(slot)
    return slots


def _nearest(plan: Plan, slots: list[_Slot], length: float, wanted: float) -> tuple[_Slot, float]:
    """Return the free stretch of a length (m) whose middle is nearest to `wanted` metres from the ego car's way."""
    best = None
    for slot in slots:
        for along in np.arange(slot.start + length / 2, slot.stop - length / 2, 1.0):
            miss = abs(plan.nearness(*slot.place(along, slot.street.half_width)[:2]) - wanted)
            if best is None or miss < best[0]:
                best = (miss, slot, along)
    if best is None:
        raise ValueError(f"no room for {length:.0f} m at a kerb")
    return best[1], float(best[2])


def _take(slots: list[_Slot], slot: _Slot, along: float, length: float) -> None:
    """Cut a stretch out of a slot."""
    slots.remove(slot)
    for start, stop in ((slot.start, along - length / 2), (along + length / 2, slot.stop)):
        if stop - start > 3:
            slots.append(_Slot(slot.street, slot.direction, start, stop))


def _building_site(plan: Plan, slots: list[_Slot]) -> None:
    """Place a digger behind barriers, cones before it and workers beside it."""
    rng, length = plan.rng, 17.0
    slot, along = _nearest(plan, slots, length, rng.uniform(6, 9))
    _take(slots, slot, along, length + 2)
    half = slot.street.half_width
    x, y, _ = slot.place(along, half + 0.7)
    plan.keep_out.append(KeepOut(x, y, 0.5 * length + 1.5))
    ahead = slot.direction
    x, y, yaw = slot.place(along - ahead * 1.0, half + 0.35)
    plan.put("digger", Still(x, y, yaw + rng.normal(0, 0.05)), KERB_HEIGHT / 2, "vehicle.stopped", gap=0.0)
    for k in range(5):
        x, y, yaw = slot.place(along + ahead * (2.4 * k - 5.2), half - PARKING_WIDTH + 0.35)
        plan.put("barrier", Still(x, y, yaw - np.pi / 2 + rng.normal(0, 0.04)), 0.0, gap=-0.2)
    for k in range(8):
        # Four before and four behind, each row on a slant to the kerb.
        end, step = (-1 if k < 4 else 1), k % 4
        x, y, yaw = slot.place(along + end * ahead * (6.6 + 0.6 * step), half - PARKING_WIDTH + 0.4 + 0.5 * step)
        plan.put("cone", Still(x, y, rng.uniform(-3, 3)), 0.0, gap=-0.05)
    for k in range(2):
        x, y, _ = slot.place(along + ahead * (4.6 + 1.6 * k), half - 1.1 + 2.4 * k)
        ground = 0.0 if k == 0 else KERB_HEIGHT
        plan.put("worker", Still(x, y, rng.uniform(-3, 3)), ground, "pedestrian.standing", gap=0.0)


def _parked(plan: Plan, slots: list[_Slot]) -> None:
    rng = plan.rng
    for name, room in (("truck", 9.5), ("bus", 14.0), ("trailer", 15.0), ("motorcycle", 3.4), ("car", 6.2)):
        slot, along = _nearest(plan, slots, room, rng.uniform(6, 11))
        _take(slots, slot, along, room)
        width = KINDS[name].size[1]
        x, y, yaw = slot.place(along, slot.street.half_width - width / 2 - 0.2)
        rest = {"bus": "vehicle.stopped", "motorcycle": "cycle.without_rider"}.get(name, "vehicle.parked")
        plan.put(name, Still(x, y, yaw + rng.normal(0, 0.015)), 0.0, rest, gap=0.0)
    for _ in range(2):
        slot, along = _nearest(plan, slots, 3.0, rng.uniform(6, 10))
        for k in range(2):
            x, y, yaw = slot.place(along + 1.2 * k, slot.street.half_width + 1.9)
            rest = "cycle.without_rider"
            plan.put("bicycle", Still(x, y, yaw + np.pi / 2 + rng.normal(0, 0.12)), KERB_HEIGHT, rest, gap=-0.05)
        _take(slots, slot, along, 3.0)
        x, y, _ = slot.place(along + 0.6, slot.street.half_width + 1.4)
        plan.keep_out.append(KeepOut(x, y, 3.0))
    for slot in sorted(slots, key=lambda s: (s.street.axis, s.street.position, s.direction, s.start)):
        along = slot.start + 2.8
        while along < slot.stop - 2.8:
            x, y, yaw = slot.place(along, slot.street.half_width - 1.15 + rng.normal(0, 0.06))
            name = str(rng.choice(["car", "truck", "motorcycle"], p=[0.88, 0.06, 0.06]))
            if rng.random() < 0.62 and plan.nearness(x, y) < 75 and slot.stop - along > 4.5:
                along += 2.0 if name == "truck" else 0.0
                x, y, yaw = slot.place(along, slot.street.half_width - 1.3)
                rest = "cycle.without_rider" if name == "motorcycle" else "vehicle.parked"
                plan.put(name, Still(x, y, yaw + rng.normal(0, 0.02)), 0.0, rest, gap=0.1)
                along += 2.0 if name == "truck" else 0.0
            along += rng.uniform(5.6, 7.0)


def _driving(plan: Plan, tries: int = 110, most: int = 16) -> None:
    """Place vehicles and riders in the lanes; whoever would hit somebody is left out."""
    rng, town = plan.rng, plan.town
    names = ("car", "truck", "bus", "motorcyclist", "cyclist")
    count = 0
    for attempt in range(tries):
        # The first ones make sure that there are riders.
        name = (
            ("cyclist", "motorcyclist")[attempt % 2]
            if attempt < 16
            else str(rng.choice(names, p=[0.66, 0.1, 0.06, 0.09, 0.09]))
        )
        axis = int(rng.integers(2))
        street = int(rng.integers(len(town.streets(axis))))
        along = rng.uniform(12, town.size[axis] - 12)
        direction, lane = int(rng.choice([-1, 1])), int(rng.integers(2))
        middle = town.streets(axis)[street].position
        if plan.nearness(*((along, middle) if axis == ALONG_X else (middle, along))) > 80:
            continue
        cruise = rng.uniform(3.0, 5.0) if name == "cyclist" else rng.uniform(5.0, 10.0)
        duration = plan.end - plan.begin
        turns = 0.0 if name in ("bus", "truck") else 0.35
        start = StreetStart(axis, street, direction, float(along), lane)
        path = drive_through(
            town, rng, start, cruise * duration + 40, 0 if turns == 0 else int(rng.integers(-1, 2)), turns
        )
        motion = timetable(path, cruise, plan.begin, plan.end, turn_speed=min(cruise, 4.5))
        if rng.random() < 0.12 and name not in ("cyclist", "motorcyclist"):
            x, y, yaw = motion.at(plan.times[:1])[0]
            motion = Still(x, y, yaw)
        rest = "vehicle.stopped" if name not in ("cyclist", "motorcyclist") else "cycle.with_rider"
        count += plan.put(name, motion, 0.0, rest, gap=0.6)
        if count >= most:
            break


def _walking(plan: Plan, tries: int = 250, most: int = 18) -> None:
    rng = plan.rng
    count = 0
    wide = [b for b in plan.town.blocks if min(np.subtract(b.high, b.low)) > 20]
    blocks = [b for b in wide if min(plan.nearness(*p) for p in b.outline()) < 25]
    for _ in range(tries):
        if count >= most:
            break
        block = blocks[rng.integers(len(blocks))]
        path = around_block(block, rng.uniform(1.7, 3.0), bool(rng.random() < 0.5))
        offset = rng.uniform(0, path.length)
        x, y = path.at(np.array([offset]))[0][0, :2]
        if plan.nearness(x, y) > (22 if count < 8 else 60):
            continue
        motion = steady(path, rng.uniform(0.8, 1.7), offset, plan.begin, plan.end)
        if rng.random() < 0.2:
            motion = Still(x, y, rng.uniform(-np.pi, np.pi))
        count += plan.put("pedestrian", motion, KERB_HEIGHT, "pedestrian.standing", gap=0.1)
