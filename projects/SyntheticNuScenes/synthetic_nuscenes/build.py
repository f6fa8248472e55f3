"""This module builds a world from a seed."""

import numpy as np

from .light.weather import TIMES_OF_DAY, Weather, draw_weather
from .seeds import Purpose, generator
from .town.scenery import build_scenery
from .town.town_drawing import lay_out_town
from .traffic.actors import Plan
from .traffic.traffic import plan_ego, populate
from .world import World

_REVISIT_EVERY = 5
_BUSYNESS = {"morning": 1.1, "noon": 1.0, "evening": 1.15, "dusk": 0.9, "night": 0.6}
"""How many people and vehicles are about at each time of day, 1 on average."""


MOST_PASSES = len(TIMES_OF_DAY)
"""Most drives through a place that each have a time of day of their own."""


def place_of(scene: int, passes: int = 1) -> int:
    """Return the number of the scene whose town this scene is in.

    The last of each five drives where the one before it drove, at another time and among other traffic. Neither of
    the two is for validation (see `tables.version_and_names`). With `passes` above 1, so many scenes in a row are in
    the town of the first of them.
    """
    if passes > 1:
        return scene - scene % passes
    return scene - 1 if scene % _REVISIT_EVERY == _REVISIT_EVERY - 1 else scene


def plan_scene(seed: int, scene: int, begin: float, end: float, passes: int = 1) -> tuple[Weather, Plan]:
    """Plan a scene between two times (s): its weather, its town and everyone in it, without the look of anything.

    With `passes` above 1, drives through one place each have a time of day of their own, and those after the first go
    the same way at another speed, a little aside, from a start some metres off.
    """
    place = place_of(scene, passes)
    town = lay_out_town(generator(Purpose.TOWN, seed, place))
    time_of_day = _times_of_day(seed, place)[scene - place] if passes > 1 else None
    weather = draw_weather(generator(Purpose.WEATHER, seed, scene), time_of_day)
    again = generator(Purpose.REVISIT, seed, scene) if passes > 1 and scene > place else None
    ego = plan_ego(town, generator(Purpose.DRIVE, seed, place), begin, end, again)
    busyness = _BUSYNESS[weather.time_of_day] * (0.8 if weather.rain else 1.0)
    plan = Plan(town, ego, begin, end, generator(Purpose.TRAFFIC, seed, scene), busyness)
    populate(plan)
    return weather, plan


def build_world(seed: int, scene: int, begin: float, end: float, passes: int = 1) -> World:
    """Build the world of a scene between two times (s); equal arguments give equal worlds, see `plan_scene`."""
    weather, plan = plan_scene(seed, scene, begin, end, passes)
    way = plan.ego.at(np.linspace(begin, end, max(int((end - begin) / 0.5), 2)))[:, :2]
    scenery = build_scenery(plan.town, generator(Purpose.SCENERY, seed, place_of(scene, passes)), plan.keep_out, way)
    return World(plan.town, weather, scenery.mesh, plan.actors, plan.ego, begin, end, scenery.lamps)


def _times_of_day(seed: int, place: int) -> list[str]:
    """Return the times of day in the order in which a place is passed; more frequent ones tend to come first."""
    shares = np.array(list(TIMES_OF_DAY.values()))
    order = generator(Purpose.REVISIT, seed, place).choice(len(shares), len(shares), replace=False, p=shares)
    return [list(TIMES_OF_DAY)[k] for k in order]
