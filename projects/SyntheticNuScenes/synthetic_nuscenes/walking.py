"""This module lets people walk and stand: on pavements, over roads, in parks, on squares and at bus stops."""

import numpy as np
import shapely

from .actors import Plan
from .lots import CAR_PARK
from .paths import SPACING, Path, Still, sampled, steady
from .roads import BACKWARD, FORWARD
from .scenery import KeepOut
from .town import KERB_HEIGHT, Block

STANDING = "pedestrian.standing"
_OPEN = ("park", "plaza", "green")
_TRACKS = 4
"""Number of distances from the kerb at which people walk around a block."""


def walk_everywhere(plan: Plan) -> None:
    """Place all people; how many there are differs from town to town and from block to block."""
    rng = plan.rng
    usual = rng.gamma(2.5, 0.4) * plan.busyness
    for block in plan.town.blocks:
        if block.kind == "island":
            continue
        here = usual * rng.gamma(0.9, 1 / 0.9) * (4.0 if rng.random() < 0.05 else 1.0)
        _on_pavement(plan, block, here)
        if block.kind in _OPEN:
            _in_the_open(plan, block, here)
    _over_crossings(plan, usual)
    _across_roads(plan, usual)
    _at_stops(plan, usual)
    _in_car_parks(plan, usual)


def _speed(rng: np.random.Generator) -> float:
    return float(np.clip(rng.normal(1.3, 0.3), 0.5, 2.2) if rng.random() < 0.95 else rng.uniform(2.4, 3.4))


def _on_pavement(plan: Plan, block: Block, density: float) -> None:
    """Let people walk around a block in both directions and stand about, singly and in groups."""
    rng = plan.rng
    low, high = min(0.7, block.pavement / 2), max(block.pavement - 0.5, 0.8)
    walks = [block.walk(float(inset)) for inset in rng.uniform(low, high, _TRACKS)]
    walks = [walk for walk in walks if walk is not None]
    length = block.outline.exterior.length
    for _ in range(rng.poisson(length / 100 * 2.2 * density) if walks else 0):
        walk = walks[rng.integers(len(walks))]
        along = float(rng.uniform(0, walk.length))
        if rng.random() < 0.3:
            x, y, _ = walk.at(np.array([along]))[0]
            stand_together(plan, float(x), float(y), int(rng.geometric(0.5)), KERB_HEIGHT)
        else:
            _walk_together(plan, walk, along, int(rng.geometric(0.65)))


def _walk_together(plan: Plan, walk: Path, along: float, count: int) -> None:
    """Let people walk side by side along a closed walk, in one of its directions."""
    rng, speed = plan.rng, _speed(plan.rng)
    # Only the stretch that is walked: headings of a whole walk are dear.
    stretch = Path(walk.at(np.arange(along, along + speed * (plan.end - plan.begin) + 3.0, SPACING))[:, :2])
    stretch = stretch if rng.random() < 0.5 else stretch.reversed()
    for k in range(min(count, 5)):
        aside = 0.75 * ((k + 1) // 2) * (-1) ** k
        motion = steady(stretch.beside(aside) if aside else stretch, speed, rng.uniform(0, 0.3), plan.begin, plan.end)
        plan.put("pedestrian", motion, KERB_HEIGHT, STANDING, gap=0.05)


def stand_together(plan: Plan, x: float, y: float, count: int, ground: float, name: str = "pedestrian") -> None:
    """Let people stand in a ring, looking inwards; one alone looks anywhere."""
    rng = plan.rng
    count = min(count, 7)
    radius, turn = (0.0 if count == 1 else 0.35 + 0.16 * count), rng.uniform(0, 2 * np.pi)
    for k in range(count):
        angle = turn + 2 * np.pi * k / count + rng.normal(0, 0.1)
        yaw = angle + np.pi + rng.normal(0, 0.3) if count > 1 else angle
        place = Still(x + radius * np.cos(angle), y + radius * np.sin(angle), yaw)
        plan.put(name, place, ground, STANDING, gap=0.02)


def _in_the_open(plan: Plan, block: Block, density: float) -> None:
    """Let people cross parks and squares on straight ways, and stand there."""
    rng = plan.rng
    inner = block.outline.buffer(-block.pavement - 0.5)
    if inner.is_empty:
        return
    rate = {"plaza": 1.0, "park": 0.4, "green": 0.12}[block.kind]
    for _ in range(rng.poisson(min(inner.area / 100, 40) * 0.3 * rate * density)):
        start, stop = random_points(rng, inner, 2)
        if rng.random() < 0.4:
            stand_together(plan, *start.tolist(), int(rng.geometric(0.45)), KERB_HEIGHT)
            plan.keep_out.append(KeepOut(*start.tolist(), 1.8))
        else:
            _stroll(plan, inner, start, stop, KERB_HEIGHT)


def _stroll(plan: Plan, ground: shapely.Polygon, start: np.ndarray, stop: np.ndarray, height: float) -> None:
    """Let people walk straight from one point to another, if all of the way lies on the ground."""
    rng = plan.rng
    length, duration = float(np.hypot(*(stop - start))), plan.end - plan.begin
    speed = _speed(rng)
    if length < speed * duration + 0.5 or not ground.contains(shapely.LineString([start, stop])):
        return
    path = sampled(np.stack([start, stop]))
    along = float(rng.uniform(0, length - speed * duration))
    if plan.put("pedestrian", steady(path, speed, along, plan.begin, plan.end), height, STANDING, gap=0.05):
        for distance in np.arange(along, along + speed * duration, 2.0):
            x, y, _ = path.at(np.array([distance]))[0]
            plan.keep_out.append(KeepOut(float(x), float(y), 1.5))


def random_points(rng: np.random.Generator, ground: shapely.Polygon, count: int) -> np.ndarray:
    """Return evenly drawn points `[count, 2]` of a polygon (m)."""
    x0, y0, x1, y1 = ground.bounds
    found = np.zeros((0, 2))
    while len(found) < count:
        points = rng.uniform((x0, y0), (x1, y1), (16, 2))
        found = np.concatenate([found, points[shapely.contains_xy(ground, points)]])
    return found[:count]


def _over_crossings(plan: Plan, density: float) -> None:
    """Let people walk over zebra crossings; nobody leaves the road before the time is up."""
    rng = plan.rng
    for crossing in plan.town.crossings:
        for _ in range(rng.poisson(0.9 * density * rng.gamma(1.0, 1.0))):
            aside = rng.uniform(-0.4, 0.4) * crossing.width
            path = crossing.path if rng.random() < 0.5 else crossing.path.reversed()
            _cross(plan, path.beside(float(aside)))


def _across_roads(plan: Plan, density: float) -> None:
    """Let people cross roads away from crossings."""
    rng = plan.rng
    for road in plan.town.network.roads:
        for _ in range(rng.poisson(0.35 * density * road.between.length / 100 * rng.gamma(1.0, 1.0))):
            x, y, heading = road.between.at(np.array([rng.uniform(0, road.between.length)]))[0]
            slant = heading - np.pi / 2 + rng.normal(0, 0.25)
            right = np.array([np.cos(slant), np.sin(slant)])
            ends = np.array([-road.section.half_width(BACKWARD), road.section.half_width(FORWARD)])
            path = sampled(np.array([x, y]) + ends[:, None] * right)
            if not road.section.median:
                _cross(plan, path if rng.random() < 0.5 else path.reversed())


def _cross(plan: Plan, path: Path) -> None:
    rng, duration = plan.rng, plan.end - plan.begin
    speed = _speed(rng)
    room = path.length - speed * duration - 0.8
    if room < 0:
        return
    motion = steady(path, speed, float(0.4 + rng.uniform(0, room)), plan.begin, plan.end)
    plan.put("pedestrian", motion, 0.0, STANDING, gap=0.1)


def _at_stops(plan: Plan, density: float) -> None:
    """Let people wait at bus stops."""
    rng = plan.rng
    for x, y, heading in plan.town.stops:
        for _ in range(rng.poisson(2.5 * density)):
            along, away = rng.uniform(-6, 6), rng.uniform(0.7, 2.2)
            place = Still(
                x + along * np.cos(heading) + away * np.sin(heading),
                y + along * np.sin(heading) - away * np.cos(heading),
                heading + np.pi / 2 + rng.normal(0, 0.6),
            )
            plan.put("pedestrian", place, KERB_HEIGHT, STANDING, gap=0.05)


def _in_car_parks(plan: Plan, density: float) -> None:
    """Let people walk between the cars of car parks and the vehicles of yards."""
    rng = plan.rng
    for lot in plan.town.lots:
        rate = 0.25 if lot.kind == CAR_PARK else 0.08
        for _ in range(rng.poisson(lot.outline.area / 100 * rate * density)):
            start, stop = random_points(rng, lot.outline, 2)
            if rng.random() < 0.4:
                stand_together(plan, *start.tolist(), int(rng.geometric(0.6)), 0.0)
            else:
                _stroll(plan, lot.outline, start, stop, 0.0)
