"""This module lets people walk and stand: on pavements, over roads, in parks, on squares and at bus stops."""

import numpy as np
import shapely

from synthetic_nuscenes.geometry.paths import SPACING, Along, Path, Still, sampled, steady
from synthetic_nuscenes.town.lots import CAR_PARK
from synthetic_nuscenes.town.roads import BACKWARD, FORWARD
from synthetic_nuscenes.town.town import KERB_HEIGHT, Block

from .actors import Ground, Plan
from .places import random_points

STANDING = "pedestrian.standing"
_OPEN = ("park", "plaza", "green")
PARK_WALK = 7.1
"""Distance (m) of the walk in parks from the pavement; see `town_blocks`."""
_APPROACH = 0.7
"""Length (m) of the pavement at either end of a way over a road."""
_TREAD = 0.05
"""Distance (m) between the places where a way over a road is looked at for kerbs."""
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
    low, high = min(0.7, block.pavement / 2), max(block.pavement - 0.6, 0.8)
    walks = [block.walk(float(inset)) for inset in rng.uniform(low, high, _TRACKS)]
    walks = [walk for walk in walks if walk is not None]
    length = block.outline.exterior.length
    for _ in range(rng.poisson(length / 100 * 3.0 * density) if walks else 0):
        walk = walks[rng.integers(len(walks))]
        along = float(rng.uniform(0, walk.length))
        if rng.random() < 0.3:
            x, y, _ = walk.at(np.array([along]))[0]
            stand_together(plan, float(x), float(y), int(rng.geometric(0.5)), KERB_HEIGHT)
        else:
            _walk_together(plan, walk, along, int(rng.geometric(0.65)))


def _walk_together(plan: Plan, walk: Path, along: float, count: int) -> None:
    """Let people walk along a closed walk in one of its directions: side by side, or in a line where it is narrow."""
    rng, speed = plan.rng, _speed(plan.rng)
    # Only the stretch that is walked: headings of a whole walk are dear.
    stretch = Path(walk.at(np.arange(along, along + speed * (plan.end - plan.begin) + 6.0, SPACING))[:, :2])
    stretch = stretch if rng.random() < 0.5 else stretch.reversed()
    for k in range(min(count, 5)):
        aside, start = 0.75 * ((k + 1) // 2) * (-1) ** k, rng.uniform(0, 0.3)
        motion = steady(stretch.beside(aside) if aside else stretch, speed, start, plan.begin, plan.end)
        if not plan.put("pedestrian", motion, KERB_HEIGHT, STANDING, gap=0.05) and k:
            motion = steady(stretch, speed, start + 0.95 * k, plan.begin, plan.end)
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
    """Let people cross squares and grass on straight ways and stand there; in parks they keep to the walk."""
    rng = plan.rng
    if block.kind == "park":
        walk = block.walk(block.pavement + PARK_WALK)
        for _ in range(rng.poisson(walk.length / 100 * 2.5 * density) if walk else 0):
            _walk_together(plan, walk, float(rng.uniform(0, walk.length)), int(rng.geometric(0.55)))
        return
    inner = block.behind_pavement(0.5)
    rate = {"plaza": 0.35, "green": 0.05}[block.kind]
    for _ in range(rng.poisson(min(inner.area / 100, 40) * rate * density)):
        start, stop = random_points(rng, inner, 2)
        if rng.random() < 0.4:
            stand_together(plan, *start.tolist(), int(rng.geometric(0.45)), KERB_HEIGHT)
        else:
            _stroll(plan, inner, start, stop, KERB_HEIGHT)


def _stroll(plan: Plan, ground: shapely.Geometry, start: np.ndarray, stop: np.ndarray, height: float) -> None:
    """Let somebody walk straight from one point to another, if all of the way lies on the ground."""
    if np.hypot(*(stop - start)) > 1.0 and ground.contains(shapely.LineString([start, stop])):
        _once(plan, sampled(np.stack([start, stop])), height)


def _once(plan: Plan, path: Path, ground: Ground | None = None) -> None:
    """Let somebody walk a path from its start to its end, and stand before and after.

    Args:
        ground: what the path lies on; None for a way over a road, which must begin and end inside kerbs.
    """
    rng, speed = plan.rng, _speed(plan.rng)
    lasts = path.length / speed
    # At any moment of the walk when the scene begins, or soon after.
    start = float(plan.begin - rng.uniform(0, lasts) + rng.uniform(0, plan.end - plan.begin))
    motion = Along(path, np.array([start, start + lasts]), np.array([0.0, path.length]))
    if ground is None:
        along = np.arange(0.0, path.length + _TREAD, _TREAD)
        raised = plan.grounds.raised(path.at(along)[:, :2])
        if not (raised[0] and raised[-1]):
            return
        levels = np.where(raised, KERB_HEIGHT, 0.0)
        steps = np.flatnonzero(np.diff(levels)) + 1
        ground = ((-np.inf, KERB_HEIGHT), *((start + along[k] / speed, float(levels[k])) for k in steps))
    plan.put("pedestrian", motion, ground, STANDING, gap=0.08)


def _over_crossings(plan: Plan, density: float) -> None:
    """Let people walk over zebra crossings."""
    rng = plan.rng
    for crossing in plan.town.crossings:
        for _ in range(rng.poisson(1.2 * density * rng.gamma(1.0, 1.0))):
            aside = rng.uniform(-0.4, 0.4) * crossing.width
            _cross(plan, crossing.path.beside(float(aside)).points[[0, -1]])


def _across_roads(plan: Plan, density: float) -> None:
    """Let people cross roads away from crossings."""
    rng = plan.rng
    for road in plan.town.network.roads:
        if road.section.median:
            continue
        for _ in range(rng.poisson(0.5 * density * road.between.length / 100 * rng.gamma(1.0, 1.0))):
            x, y, heading = road.between.at(np.array([rng.uniform(0, road.between.length)]))[0]
            slant = heading - np.pi / 2 + rng.normal(0, 0.2)
            right = np.array([np.cos(slant), np.sin(slant)]) / np.cos(slant - heading + np.pi / 2)
            reach = np.array([-road.section.half_width(BACKWARD), road.section.half_width(FORWARD)])
            _cross(plan, np.array([x, y]) + reach[:, None] * right)


def _cross(plan: Plan, ends: np.ndarray) -> None:
    """Let somebody walk from kerb to kerb in one of the two directions, with a step on the pavement at either end."""
    ends = ends if plan.rng.random() < 0.5 else ends[::-1]
    ahead = _APPROACH * (ends[1] - ends[0]) / np.hypot(*(ends[1] - ends[0]))
    _once(plan, sampled(np.stack([ends[0] - ahead, ends[1] + ahead])))


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
