"""This module gives the boxes of annotations: where an annotator draws them, and how many points they hold."""

import numpy as np
from numpy import ndarray
from nuscenes.utils.data_classes import Box
from nuscenes.utils.geometry_utils import points_in_box
from pyquaternion import Quaternion

from synthetic_nuscenes.sensors.lidar import Sweep, crossing_delay
from synthetic_nuscenes.sensors.rig import (
    LIDAR_ROTATION,
    LIDAR_TRANSLATION,
    lidar_to_ego,
    quaternion,
    unit_quaternion,
)
from synthetic_nuscenes.world import World


def box_of(world: World, actor: int, time: float) -> tuple[ndarray, float]:
    """Return the middle `[3]` (m) and yaw (rad) of an actor's box when the turn that ends at `time` (s) meets it.

    That is where an annotator, who sees the points, draws the box.
    """
    moment = time
    for _ in range(2):
        center, yaw = world.actor_poses(actor, np.array([moment]))
        frame = np.linalg.inv(world.ego_poses(np.array([moment]))[0] @ lidar_to_ego())
        x, y, _ = frame[:3, :3] @ center[0] + frame[:3, 3]
        moment = time + crossing_delay(float(np.arctan2(-x, y)))
    return center[0], float(np.angle(np.exp(1j * yaw[0])))


def points_inside(annotation: dict, world: World, time: float, turn: Sweep) -> int:
    """Count the points of a turn up to `time` (s) in the box of an annotation, as the devkit does.

    It takes the devkit's box in the LiDAR frame, the devkit's test, and the points as they are stored.
    """
    pose = world.ego_poses(np.array([time]))[0]
    box = Box(annotation["translation"], annotation["size"], Quaternion(annotation["rotation"]))
    box.translate(-pose[:3, 3])
    box.rotate(Quaternion(quaternion(pose[:3, :3])).inverse)
    box.translate(-np.array(LIDAR_TRANSLATION))
    box.rotate(Quaternion(unit_quaternion(LIDAR_ROTATION)).inverse)
    return int(np.count_nonzero(points_in_box(box, turn.points[:, :3].T)))
