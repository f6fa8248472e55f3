"""This module holds nuScenes' vocabulary: categories, attributes, visibility levels, sensors, scene names, tokens."""

import hashlib

from nuscenes.utils import splits

from synthetic_nuscenes.sensors.rig import CAMERAS
from synthetic_nuscenes.synthetic_errors import SyntheticDataError

LIDAR_CHANNEL = "LIDAR_TOP"
TABLES = (
    "attribute",
    "calibrated_sensor",
    "category",
    "ego_pose",
    "instance",
    "lidarseg",
    "log",
    "map",
    "sample",
    "sample_annotation",
    "sample_data",
    "scene",
    "sensor",
    "visibility",
)
CATEGORIES = (
    "noise",
    "animal",
    "human.pedestrian.adult",
    "human.pedestrian.child",
    "human.pedestrian.construction_worker",
    "human.pedestrian.personal_mobility",
    "human.pedestrian.police_officer",
    "human.pedestrian.stroller",
    "human.pedestrian.wheelchair",
    "movable_object.barrier",
    "movable_object.debris",
    "movable_object.pushable_pullable",
    "movable_object.trafficcone",
    "static_object.bicycle_rack",
    "vehicle.bicycle",
    "vehicle.bus.bendy",
    "vehicle.bus.rigid",
    "vehicle.car",
    "vehicle.construction",
    "vehicle.emergency.ambulance",
    "vehicle.emergency.police",
    "vehicle.motorcycle",
    "vehicle.trailer",
    "vehicle.truck",
    "flat.driveable_surface",
    "flat.other",
    "flat.sidewalk",
    "flat.terrain",
    "static.manmade",
    "static.other",
    "static.vegetation",
    "vehicle.ego",
)
"""Names of the categories, in the order of their lidarseg index."""

ATTRIBUTES = (
    "vehicle.moving",
    "vehicle.stopped",
    "vehicle.parked",
    "cycle.with_rider",
    "cycle.without_rider",
    "pedestrian.sitting_lying_down",
    "pedestrian.standing",
    "pedestrian.moving",
)
VISIBILITY = {"1": "v0-40", "2": "v40-60", "3": "v60-80", "4": "v80-100"}

# Both official parts of v1.0-mini. One for validation is among the first two, and both are among the first three:
# the devkit's lidarseg evaluation stops when a scene of its split is missing.
_MINI = ("0061", "0103", "0916", "0553", "0655", "0757", "0796", "1077", "1094", "1100")
# The devkit refuses CAN bus data of these scenes: the real ones have none.
_NO_CAN_BUS = (*range(161, 169), *range(170, 177), *range(309, 315))


def token(*parts: object) -> str:
    """Return 32 hexadecimal digits that depend on `parts` alone."""
    return hashlib.md5("/".join(str(part) for part in parts).encode(), usedforsecurity=False).hexdigest()


def visibility_token(share: float) -> str:
    """Return nuScenes' visibility level for the visible share of an object."""
    return "1234"[int(share >= 0.4) + int(share >= 0.6) + int(share >= 0.8)]


def version_and_names(scenes: int, passes: int = 1) -> tuple[str, list[str]]:
    """Return the devkit's version and official scene names; about one scene in five is for validation.

    With `passes` above 1 the first drive through each place is for training and all others are for validation: what is
    looked for, and what is asked.

    Raises:
        SyntheticDataError: for less than one scene or more than there are names.
    """
    if passes == 1 and 1 <= scenes <= len(_MINI):
        return "v1.0-mini", [f"scene-{number}" for number in _MINI[:scenes]]
    usable = {f"scene-{k:04d}" for k in range(1, 1111)} - {f"scene-{k:04d}" for k in _NO_CAN_BUS}
    train, val = ([name for name in part if name in usable] for part in (splits.train, splits.val))
    most = len(train) + len(val) if passes == 1 else len(val) * passes // (passes - 1)
    if not 1 <= scenes <= most:
        raise SyntheticDataError(f"scenes: got {scenes}, between 1 and {most} have official names")
    if passes > 1:
        return "v1.0-trainval", [(val if k % passes else train).pop(0) for k in range(scenes)]
    names = []
    for k in range(scenes):
        turn, other = (val, train) if k % 5 == 1 else (train, val)
        names.append((turn or other).pop(0))
    return "v1.0-trainval", names


def fixed_tables() -> dict[str, list[dict]]:
    """Return the tables that are the same for all scenes."""
    channels = [(camera.channel, "camera") for camera in CAMERAS] + [(LIDAR_CHANNEL, "lidar")]
    return {
        "category": [
            {"token": token("category", name), "name": name, "description": "", "index": index}
            for index, name in enumerate(CATEGORIES)
        ],
        "attribute": [{"token": token("attribute", name), "name": name, "description": ""} for name in ATTRIBUTES],
        "visibility": [
            {"token": level, "level": name, "description": "visible share of the object over all six images"}
            for level, name in VISIBILITY.items()
        ],
        "sensor": [
            {"token": token("sensor", channel), "channel": channel, "modality": modality}
            for channel, modality in channels
        ],
    }
