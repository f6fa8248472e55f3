"""Annotations of a key frame as boxes in its LiDAR frame, in the convention of mmdet3d 1.x."""

import math

import numpy as np
from nuscenes import NuScenes
from nuscenes.eval.detection.utils import category_to_detection_name
from pyquaternion import Quaternion

from ponderv2.datasets.nuscenes_constants import DETECTION_CLASSES
from ponderv2.shapes import Float


def instances_of(tables: NuScenes, sample: dict, lidar2global: Float[np.ndarray, "4 4"]) -> list[dict]:
    """Make a plain dict of each annotation; a label is a place in `DETECTION_CLASSES`, or -1 for any other category."""
    global2lidar = np.linalg.inv(lidar2global)
    return [_instance(tables, tables.get("sample_annotation", token), global2lidar) for token in sample["anns"]]


def _instance(tables: NuScenes, annotation: dict, global2lidar: Float[np.ndarray, "4 4"]) -> dict:
    name = category_to_detection_name(annotation["category_name"])
    label = DETECTION_CLASSES.index(name) if name in DETECTION_CLASSES else -1
    attributes = [tables.get("attribute", token)["name"] for token in annotation["attribute_tokens"]]
    lidar_points, radar_points = int(annotation["num_lidar_pts"]), int(annotation["num_radar_pts"])
    return {
        "bbox_3d": _box(annotation, global2lidar),
        "bbox_label": label,
        "bbox_label_3d": label,
        "bbox_3d_isvalid": lidar_points + radar_points > 0,
        "velocity": _velocity(tables, annotation, global2lidar),
        "num_lidar_pts": lidar_points,
        "num_radar_pts": radar_points,
        "category": annotation["category_name"],
        "attribute": attributes[0] if attributes else "",
        "visibility": int(annotation["visibility_token"] or 0),
        "token": annotation["token"],
        "instance_token": annotation["instance_token"],
    }


def _box(annotation: dict, global2lidar: Float[np.ndarray, "4 4"]) -> list[float]:
    """Return (x, y, z, l, w, h, yaw) with the gravity centre; the tables give width first."""
    center = global2lidar[:3, :3] @ annotation["translation"] + global2lidar[:3, 3]
    # Where the box's own x axis, along which it drives, points in the LiDAR frame.
    ahead = global2lidar[:3, :3] @ Quaternion(annotation["rotation"]).rotation_matrix[:, 0]
    width, length, height = annotation["size"]
    return [*map(float, center), float(length), float(width), float(height), math.atan2(ahead[1], ahead[0])]


def _velocity(tables: NuScenes, annotation: dict, global2lidar: Float[np.ndarray, "4 4"]) -> list[float | None]:
    """Return the velocity, metres a second, in the LiDAR frame; (None, None) where the neighbouring frames do not tell.

    The vertical part is left out before turning, as mmdet3d does, so that numbers agree with its info files.
    """
    vx, vy, _ = tables.box_velocity(annotation["token"])
    if not (math.isfinite(vx) and math.isfinite(vy)):
        return [None, None]
    turned = global2lidar[:3, :3] @ (vx, vy, 0.0)
    return [float(turned[0]), float(turned[1])]
