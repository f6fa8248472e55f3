"""This module builds a world from a seed."""

import numpy as np

from .actors import Plan
from .catalogue import DETECTION_NAMES
from .lamps import lamp_heads
from .lidar import PERFECT, sweep
from .scenery import build_scenery
from .town import lay_out_town
from .traffic import plan_ego, populate
from .weather import draw_weather
from .world import STATIC, World

_NEAR, _ENOUGH, _ATTEMPTS = 28.0, 8, 30
_KEY_FRAME_GAP = 0.5


def build_world(seed: int, scene: int, begin: float, end: float) -> World:
    """Build the world of a scene between two times (s); equal arguments give equal worlds.

    The draws are repeated until the LiDAR meets every class of the detection task.

    Raises:
        RuntimeError: when none of 30 draws has all classes.
    """
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng([seed, scene, attempt])
        town = lay_out_town(rng)
        weather = draw_weather(rng)
        plan = Plan(town, plan_ego(town, rng, begin, end), begin, end, rng)
        populate(plan)
        if set(DETECTION_NAMES) - {actor.kind.detection_name for actor in plan.actors}:
            continue
        scenery = build_scenery(town, rng, plan.keep_out, plan.nearness)
        world = World(town, weather, scenery, plan.actors, plan.ego, begin, end, lamp_heads(scenery))
        if not missing_classes(world):
            return world
    raise RuntimeError(f"scene {scene} of seed {seed}: not all classes near the ego car in {_ATTEMPTS} draws")


def missing_classes(world: World) -> list[str]:
    """Return the classes that the LiDAR misses.

    A class is met when, at one of up to five key frames, one turn of the LiDAR hits an object of it within 28 m
    at least eight times.
    """
    missing = set(DETECTION_NAMES)
    frames = np.arange(max(world.begin, 0.0), world.end + 1e-6, _KEY_FRAME_GAP)
    for time in frames[:: max(len(frames) // 5, 1)]:
        turn = sweep(world, float(time), np.random.default_rng(0), PERFECT)
        returns = np.bincount(turn.body, minlength=len(world.actors) + 1)
        car = world.ego.at(np.array([time]))[0, :2]
        for k, actor in enumerate(world.actors):
            away = np.linalg.norm(world.actor_poses(k, np.array([time]))[0][0, :2] - car)
            if away < _NEAR and returns[STATIC + 1 + k] >= _ENOUGH:
                missing.discard(actor.kind.detection_name)
    return sorted(missing)
