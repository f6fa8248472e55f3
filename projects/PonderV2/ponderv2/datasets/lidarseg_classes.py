"""The classes of nuScenes-lidarseg: 32 categories in the files of labels, 16 that are scored."""

import numpy as np

from ponderv2.shapes import Int

IGNORE_LABEL = -1
"""Label of a point that is neither trained on nor scored: of an ignored category, or without a label."""

LIDARSEG_CATEGORIES = {
    "noise": None,
    "animal": None,
    "human.pedestrian.adult": "pedestrian",
    "human.pedestrian.child": "pedestrian",
    "human.pedestrian.construction_worker": "pedestrian",
    "human.pedestrian.personal_mobility": None,
    "human.pedestrian.police_officer": "pedestrian",
    "human.pedestrian.stroller": None,
    "human.pedestrian.wheelchair": None,
    "movable_object.barrier": "barrier",
    "movable_object.debris": None,
    "movable_object.pushable_pullable": None,
    "movable_object.trafficcone": "traffic_cone",
    "static_object.bicycle_rack": None,
    "vehicle.bicycle": "bicycle",
    "vehicle.bus.bendy": "bus",
    "vehicle.bus.rigid": "bus",
    "vehicle.car": "car",
    "vehicle.construction": "construction_vehicle",
    "vehicle.emergency.ambulance": None,
    "vehicle.emergency.police": None,
    "vehicle.motorcycle": "motorcycle",
    "vehicle.trailer": "trailer",
    "vehicle.truck": "truck",
    "flat.driveable_surface": "driveable_surface",
    "flat.other": "other_flat",
    "flat.sidewalk": "sidewalk",
    "flat.terrain": "terrain",
    "static.manmade": "manmade",
    "static.other": None,
    "static.vegetation": "vegetation",
    "vehicle.ego": None,
}
"""The categories in the order of the numbers in the files, 0 to 31, with the class of each that is scored as; None is
ignored. The mapping is that of the devkit's `LidarsegClassMapper`, the order that of the official `category.json`."""

LIDARSEG_CLASSES = (
    "barrier",
    "bicycle",
    "bus",
    "car",
    "construction_vehicle",
    "motorcycle",
    "pedestrian",
    "traffic_cone",
    "trailer",
    "truck",
    "driveable_surface",
    "other_flat",
    "sidewalk",
    "terrain",
    "manmade",
    "vegetation",
)
"""The 16 classes that are scored, by their labels 0 to 15. In submissions and in the devkit they are 1 to 16."""

LIDARSEG_PALETTE = (
    (112, 128, 144),
    (220, 20, 60),
    (255, 127, 80),
    (255, 158, 0),
    (233, 150, 70),
    (255, 61, 99),
    (0, 0, 230),
    (47, 79, 79),
    (255, 140, 0),
    (255, 99, 71),
    (0, 207, 191),
    (175, 0, 75),
    (75, 0, 75),
    (112, 180, 60),
    (222, 184, 135),
    (0, 175, 0),
)
"""The colors of the classes, RGB 0–255, those of the devkit."""


def class_labels(raw: np.ndarray) -> Int[np.ndarray, "p"]:
    """Return the labels of the 16 classes, int64, for numbers of the 32 categories; ignored ones are `IGNORE_LABEL`.

    Args:
        raw: numbers of categories `[P]` of any integer type; files have uint8.

    Raises:
        ValueError: a number is not 0 to 31.
    """
    if len(raw) and not 0 <= raw.min() <= raw.max() < len(_LABELS):
        raise ValueError(f"expected numbers of categories, 0 to {len(_LABELS) - 1}, got {raw.min()} to {raw.max()}")
    return _LABELS[raw]


_LABELS = np.array(
    [IGNORE_LABEL if name is None else LIDARSEG_CLASSES.index(name) for name in LIDARSEG_CATEGORIES.values()]
)
