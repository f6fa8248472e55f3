"""This module builds a world from a seed."""

import numpy as np

from .light.weather import Weather, draw_weather
from .seeds import Purpose, generator
from .town.scenery import build_scenery
from .town.town_drawing import lay_out_town
from .traffic.actors import Plan
from .traffic.traffic import plan_ego, populate
from .world import World

_REVISIT_EVERY = 5
_BUSYNESS = {"morning": 1.1, "noon": 1.0, "evening": 1.15, "dusk": 0.9, "night": 0.6}
"""How many people and vehicles are about at each time of day, 1 on average."""


def place_of(scene: int) -> int:
    """Return the number of the scene whose town this scene is in.

    The last of each five drives where the one before it drove, at another time and among other traffic. Neither of
    the two is for validation (see `tables.version_and_names`).
    """
    return scene - 1 if scene % _REVISIT_EVERY == _REVISIT_EVERY - 1 else scene


def plan_scene(seed: int, scene: int, begin: float, end: float) -> tuple[Weather, Plan]:
    """Plan a scene between two times (s): its weather, its town and everyone in it, without the look of anything."""
    place = place_of(scene)
    town = lay_out_town(generator(Purpose.TOWN, seed, place))
    weather = draw_weather(generator(Purpose.WEATHER, seed, scene))
    ego = plan_ego(town, generator(Purpose.DRIVE, seed, place), begin, end)
    busyness = _BUSYNESS[weather.time_of_day] * (0.8 if weather.rain else 1.0)
    plan = Plan(town, ego, begin, end, generator(Purpose.TRAFFIC, seed, scene), busyness)
    populate(plan)
    return weather, plan


def build_world(seed: int, scene: int, begin: float, end: float) -> World:
    """Build the world of a scene between two times (s); equal arguments give equal worlds."""
    weather, plan = plan_scene(seed, scene, begin, end)
    way = plan.ego.at(np.linspace(begin, end, max(int((end - begin) / 0.5), 2)))[:, :2]
    scenery = build_scenery(plan.town, generator(Purpose.SCENERY, seed, place_of(scene)), plan.keep_out, way)
    return World(plan.town, weather, scenery.mesh, plan.actors, plan.ego, begin, end, scenery.lamps)
