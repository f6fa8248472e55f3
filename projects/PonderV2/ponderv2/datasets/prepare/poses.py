"""Poses of the tables as 4×4 matrices on column vectors, float64."""

import numpy as np
from nuscenes import NuScenes
from pyquaternion import Quaternion

from ponderv2.shapes import Float


def pose_matrix(record: dict) -> Float[np.ndarray, "4 4"]:
    """Return the matrix that leads from the frame of a sensor to the car, or from the car to the world."""
    matrix = np.eye(4)
    matrix[:3, :3] = Quaternion(record["rotation"]).rotation_matrix
    matrix[:3, 3] = record["translation"]
    return matrix


def sensor_poses(tables: NuScenes, sample_data: dict) -> tuple[Float[np.ndarray, "4 4"], Float[np.ndarray, "4 4"]]:
    """Return the matrices (sensor → ego, ego → global) of one recording, at its own time stamp."""
    sensor = tables.get("calibrated_sensor", sample_data["calibrated_sensor_token"])
    return pose_matrix(sensor), pose_matrix(tables.get("ego_pose", sample_data["ego_pose_token"]))
