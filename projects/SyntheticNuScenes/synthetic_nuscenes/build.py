"""This module builds a world from a seed."""

import numpy as np

from .light.weather import draw_weather
from .town.scenery import build_scenery
from .town.town_drawing import lay_out_town
from .traffic.actors import Plan
from .traffic.traffic import plan_ego, populate
from .world import World

_TOWN, _WEATHER, _DRIVE, _TRAFFIC, _SCENERY = range(5)
"""What a generator is for: each part of a world has one of its own, so none hangs on what another draws."""
_REVISIT_EVERY = 5
_BUSYNESS = {"morning": 1.1, "noon": 1.0, "evening": 1.15, "dusk": 0.9, "night": 0.6}
"""How many people and vehicles are about at each time of day, 1 on average."""


def place_of(scene: int) -> int:
    """Return the number of the scene whose town this scene is in.

    The last of each five drives where the one before it drove, at another time and among other traffic. Neither of
    the two is for validation (see `tables.version_and_names`).
    """
    return scene - 1 if scene % _REVISIT_EVERY == _REVISIT_EVERY - 1 else scene


def build_world(seed: int, scene: int, begin: float, end: float) -> World:
    """Build the world of a scene between two times (s); equal arguments give equal worlds."""
    place = place_of(scene)

    def generator(part: int, number: int) -> np.random.Generator:
        return np.random.default_rng([seed, number, part])

    town = lay_out_town(generator(_TOWN, place))
    weather = draw_weather(generator(_WEATHER, scene))
    ego = plan_ego(town, generator(_DRIVE, place), begin, end)
    busyness = _BUSYNESS[weather.time_of_day] * (0.8 if weather.rain else 1.0)
    plan = Plan(town, ego, begin, end, generator(_TRAFFIC, scene), busyness)
    populate(plan)
    way = ego.at(np.linspace(begin, end, max(int((end - begin) / 0.5), 2)))[:, :2]
    scenery = build_scenery(town, generator(_SCENERY, place), plan.keep_out, way)
    return World(town, weather, scenery.mesh, plan.actors, plan.ego, begin, end, scenery.lamps)
