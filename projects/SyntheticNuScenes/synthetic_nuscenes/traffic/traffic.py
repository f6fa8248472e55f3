"""This module plans the drive of the ego car and fills a town with everything that parks, drives, stands and walks."""

import numpy as np

from synthetic_nuscenes.geometry.paths import Along
from synthetic_nuscenes.town.town import Town

from .actors import EGO_SIZE, Plan
from .driving import Traffic, draw_signals, stop_line
from .kerb_room import kerbsides
from .loose import scatter
from .motion import stop_and_go
from .parked import leave_cycles, park_along_kerbs, park_in_lots, park_on_open_ground, stop_buses
from .roadworks import dig_up
from .walking import walk_everywhere


def plan_ego(
    town: Town, rng: np.random.Generator, begin: float, end: float, again: np.random.Generator | None = None
) -> Along:
    """Plan a drive that begins anywhere on the inner lanes or in a junction, at any speed that the road allows.

    Some drives crawl, some stand at a stop line for a while or all the time.

    Args:
        town: the town.
        rng: draws where the drive goes, and how.
        begin: first time (s).
        end: last time (s).
        again: draws how a later drive differs from the one that `rng` alone gives: it goes the same way without a halt,
            at 0.7 to 1.3 times the speed, up to 0.4 m aside, from a start up to 4 m off. None is the first drive.
    """
    network = town.network
    inner = [
        lane
        for lane in network.lanes
        if "exit" not in {network.junctions[n].kind for n in network.roads[lane.road].ends}
    ]
    lengths = np.array([lane.path.length + 15.0 for lane in inner])
    lane = inner[int(rng.choice(len(inner), p=lengths / lengths.sum()))]
    cruise = rng.uniform(2.0, 4.5) if rng.random() < 0.2 else lane.speed * rng.uniform(0.6, 1.1)
    line = stop_line(town, lane) - EGO_SIZE[0] / 2 - rng.exponential(4.0)
    halts: tuple[tuple[float, float], ...] = ()
    offset = rng.uniform(0.0, lane.path.length + 15.0)
    if rng.random() < 0.22 and line > 3:
        halts = ((line, float(rng.choice([np.inf, rng.uniform(begin, end + 4)]))),)
        offset = line if rng.random() < 0.5 else min(offset, line)
    if again is not None:
        halts = ()
        cruise *= again.uniform(0.7, 1.3)
        offset = max(offset + again.uniform(-4.0, 4.0), 0.0)
    path = network.drive(rng, lane, 0.0, lane.path.length + 40 + cruise * (end - begin), stay=True)
    if again is not None:
        path = path.beside(float(again.uniform(-0.4, 0.4)))
    return stop_and_go(path, cruise, begin, end, offset, halts, sideways=rng.uniform(1.6, 2.6))


def populate(plan: Plan) -> None:
    """Fill the whole town without a look at the ego car."""
    sides = kerbsides(plan.town)
    stop_buses(plan, sides)
    dig_up(plan, sides)
    scatter(plan, sides)
    park_along_kerbs(plan, sides)
    park_in_lots(plan)
    park_on_open_ground(plan)
    leave_cycles(plan)
    Traffic(plan, draw_signals(plan.rng, plan.town, plan.begin, plan.end)).fill()
    walk_everywhere(plan)
