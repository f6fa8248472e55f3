"""Changes that put into a key frame of a good info file what another convention would have there."""

import math
from pathlib import Path

import numpy as np

from ponderv2.datasets.verify import Result, check_info_file


def findings_of(path: Path, root: Path) -> dict:
    return {finding.check: finding for finding in check_info_file(path, root)}


def failed(findings: dict) -> set[str]:
    return {name for name, finding in findings.items() if finding.result is Result.FAIL}


def negate_yaw(frame: dict) -> None:
    for instance in frame["instances"]:
        instance["bbox_3d"][6] *= -1


def swap_width_and_length(frame: dict) -> None:
    for instance in frame["instances"]:
        box = instance["bbox_3d"]
        box[3], box[4] = box[4], box[3]


def old_mmdet3d(frame: dict) -> None:
    """Width first, yaw clockwise from -y: boxes before mmdet3d 1.0."""
    swap_width_and_length(frame)
    for instance in frame["instances"]:
        instance["bbox_3d"][6] = -instance["bbox_3d"][6] - math.pi / 2


def turn_by_a_quarter(frame: dict) -> None:
    for instance in frame["instances"]:
        instance["bbox_3d"][6] += math.pi / 2


def turn_around(frame: dict) -> None:
    for instance in frame["instances"]:
        instance["bbox_3d"][6] += math.pi


def bottom_center(frame: dict) -> None:
    for instance in frame["instances"]:
        instance["bbox_3d"][2] -= instance["bbox_3d"][5] / 2


def global_velocity(frame: dict) -> None:
    to_global = (np.array(frame["ego2global"]) @ frame["lidar_points"]["lidar2ego"])[:2, :2]
    for instance in frame["instances"]:
        if instance["velocity"][0] is not None:
            instance["velocity"] = (to_global @ instance["velocity"]).tolist()


def invert_lidar2cam(frame: dict) -> None:
    for image in frame["images"].values():
        image["lidar2cam"] = np.linalg.inv(image["lidar2cam"]).tolist()


def forget_the_motion_of_the_car(frame: dict) -> None:
    """Camera matrices through one pose of the car for all sensors."""
    for image in frame["images"].values():
        image["lidar2cam"] = (np.linalg.inv(image["cam2ego"]) @ frame["lidar_points"]["lidar2ego"]).tolist()


def half_size_intrinsics(frame: dict) -> None:
    for image in frame["images"].values():
        image["cam2img"] = (np.diag([0.5, 0.5, 1]) @ image["cam2img"]).tolist()


def sweeps_for_the_published_formula(frame: dict) -> None:
    """What lidar2sensor would have to be for p @ R - t to be right."""
    for sweep in frame["lidar_sweeps"]:
        matrix = np.array(sweep["lidar_points"]["lidar2sensor"])
        matrix[:3, 3] = matrix[:3, :3].T @ matrix[:3, 3]
        sweep["lidar_points"]["lidar2sensor"] = matrix.tolist()


def invert_sweeps(frame: dict) -> None:
    for sweep in frame["lidar_sweeps"]:
        points = sweep["lidar_points"]
        points["lidar2sensor"] = np.linalg.inv(points["lidar2sensor"]).tolist()


def microseconds(frame: dict) -> None:
    for sweep in frame["lidar_sweeps"]:
        sweep["timestamp"] *= 1e6
