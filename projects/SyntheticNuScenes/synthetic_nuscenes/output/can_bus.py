"""This module writes the car's own messages in the format of nuScenes' CAN bus expansion."""

import json
from pathlib import Path

import numpy as np

from synthetic_nuscenes.sensors.rig import quaternion
from synthetic_nuscenes.synthetic_errors import naming
from synthetic_nuscenes.world import World

RATE = 50
"""Number of poses in a second, as in nuScenes."""
_WHEELBASE, _STEERING_RATIO = 2.588, 16.0


def write_can_bus(folder: Path, scene: str, world: World, start: int) -> None:
    """Write `<scene>_pose.json`, `<scene>_steeranglefeedback.json` and `<scene>_route.json`.

    Args:
        start: time stamp of time 0, microseconds.
    """
    step = 1.0 / RATE
    times = np.arange(world.begin + step, world.end, step)
    poses = world.ego_poses(times)
    here, before, after = (world.ego.at(t) for t in (times, times - step / 2, times + step / 2))
    velocity = (after[:, :2] - before[:, :2]) / step
    speed = np.hypot(*velocity.T)
    turn = (after[:, 2] - before[:, 2]) / step
    gain = np.gradient(speed, step) if len(times) > 1 else np.zeros_like(speed)
    messages = []
    for k in range(len(times)):
        messages.append(
            {
                "accel": [float(gain[k]), float(speed[k] * turn[k]), 9.81],
                "orientation": quaternion(poses[k, :3, :3]),
                "pos": [float(here[k, 0]), float(here[k, 1]), 0.0],
                "rotation_rate": [0.0, 0.0, float(turn[k])],
                "utime": start + round(times[k] * 1e6),
                "vel": [float(speed[k]), 0.0, 0.0],
            }
        )
    angle = np.arctan(_WHEELBASE * turn / np.maximum(speed, 0.1)) * _STEERING_RATIO
    steering = [{"utime": m["utime"], "value": float(a)} for m, a in zip(messages, angle)]
    folder.mkdir(parents=True, exist_ok=True)
    route = here[:, :2].tolist()
    for name, content in (("pose", messages), ("steeranglefeedback", steering), ("route", route)):
        path = folder / f"{scene}_{name}.json"
        with naming(path):
            path.write_text(json.dumps(content) + "\n")
