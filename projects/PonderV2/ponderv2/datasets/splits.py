"""nuScenes' official splits."""

from nuscenes.utils.splits import create_splits_scenes

SPLITS = {
    "v1.0-trainval": {"train": "train", "val": "val"},
    "v1.0-mini": {"train": "mini_train", "val": "mini_val"},
    "v1.0-test": {"test": "test"},
}
"""The info files that are made for each version of the tables, and the official split that each of them holds."""


def scenes_of(split: str) -> frozenset[str]:
    """Return the names of the scenes of an official split, such as "mini_val".

    Raises:
        KeyError: the devkit knows no such split.
    """
    return frozenset(create_splits_scenes()[split])
