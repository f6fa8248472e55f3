"""The CAN bus vector of a key frame: 18 numbers in BEVFormer's order."""

import math
from pathlib import Path

import numpy as np
from nuscenes.can_bus.can_bus_api import NuScenesCanBus

from ponderv2.shapes import Float

MEASURED = ("accel", "rotation_rate", "vel")
"""Keys of a pose message whose three numbers each are measured."""


class CanBus:
    """The CAN bus messages beside a data set, where there are any.

    Args:
        root: folder of the data set; the messages are expected in its `can_bus/`.
    """

    def __init__(self, root: Path) -> None:
        self.api = NuScenesCanBus(str(root)) if (root / "can_bus").is_dir() else None

    def messages(self, scene_name: str) -> list[dict]:
        """Read the pose messages of a scene in the order of time; none where the scene has no (usable) CAN bus."""
        number = int(scene_name[-4:]) if scene_name[-4:].isdigit() else None
        if self.api is None or number in self.api.can_blacklist:
            return []
        if not (Path(self.api.can_dir) / f"{scene_name}_pose.json").is_file():
            return []
        return sorted(self.api.get_messages(scene_name, "pose"), key=lambda message: message["utime"])


def can_bus_vector(
    messages: list[dict], timestamp: int, ego_pose: dict, ego2global: Float[np.ndarray, "4 4"]
) -> tuple[list[float], bool]:
    """Compute the 18 numbers at a time, and whether the nine of them that are measured are known.

    They are position (3) and orientation (4: w, x, y, z) of the car in the world, acceleration (3), rotation rate (3)
    and velocity (3) in the car's frame, and its yaw in radians in [0, 2π) and in degrees. The pose is that of the key
    frame, as in BEVFormer; the measured nine come from the last message before, or are 0.

    Args:
        messages: pose messages of the scene, see `CanBus.messages`.
        timestamp: time of the key frame in microseconds.
        ego_pose: record of the key frame's pose.
        ego2global: the same pose as a matrix.
    """
    before = [message for message in messages if message["utime"] <= timestamp]
    measured = [float(v) for key in MEASURED for v in before[-1][key]] if before else [0.0] * 9
    yaw = math.atan2(ego2global[1, 0], ego2global[0, 0]) % (2 * math.pi)
    pose = [float(v) for v in (*ego_pose["translation"], *ego_pose["rotation"])]
    return [*pose, *measured, yaw, math.degrees(yaw)], bool(before)
