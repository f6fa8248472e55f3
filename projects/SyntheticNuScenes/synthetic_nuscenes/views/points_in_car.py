"""This module opens a data set, and reads the LiDAR points of a key frame in the car's frame and their classes."""

from pathlib import Path

import numpy as np
from numpy import ndarray
from nuscenes import NuScenes
from nuscenes.eval.lidarseg.utils import LidarsegClassMapper
from pyquaternion import Quaternion


def open_dataset(root: Path) -> NuScenes:
    """Open the tables of a data set.

    Raises:
        FileNotFoundError: `root` has no folder `v1.0-*`.
    """
    versions = sorted(path.name for path in root.glob("v1.0-*"))
    if not versions:
        raise FileNotFoundError(f"{root} holds no data set: there is no folder v1.0-*")
    return NuScenes(versions[0], str(root), verbose=False)


def points_in_car(nuscenes: NuScenes, data: str) -> ndarray:
    """Return the points of a LiDAR turn, `[n, 3]` float64, metres: x ahead, y left, z up from the ground.

    Args:
        nuscenes: the data set.
        data: token of the turn in the table `sample_data`.
    """
    points = np.fromfile(nuscenes.get_sample_data_path(data), np.float32).reshape(-1, 5)[:, :3].astype(np.float64)
    row = nuscenes.get("sample_data", data)
    frame = nuscenes.get("calibrated_sensor", row["calibrated_sensor_token"])
    return points @ Quaternion(frame["rotation"]).rotation_matrix.T + np.array(frame["translation"])


def to_car(nuscenes: NuScenes, data: str, places: ndarray) -> ndarray:
    """Turn places of the map, `[n, 3]` in metres, into those in the car's frame when the data were taken."""
    pose = nuscenes.get("ego_pose", nuscenes.get("sample_data", data)["ego_pose_token"])
    return (places - np.array(pose["translation"])) @ Quaternion(pose["rotation"]).rotation_matrix


def labels_of(nuscenes: NuScenes, mapper: LidarsegClassMapper, data: str) -> ndarray:
    """Return the class of each point of a LiDAR turn, `[n]`: 1 to 16 of the segmentation task, 0 is ignored."""
    path = Path(nuscenes.dataroot) / nuscenes.get("lidarseg", data)["filename"]
    coarse = mapper.fine_idx_2_coarse_idx_mapping
    table = np.array([coarse.get(fine, 0) for fine in range(256)])
    return table[np.fromfile(path, np.uint8)]
