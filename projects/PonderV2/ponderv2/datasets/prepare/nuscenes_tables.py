"""nuScenes' official tables, opened by the official devkit, with errors that say what to do."""

import hashlib
from pathlib import Path

from nuscenes import NuScenes
from nuscenes.utils.splits import create_splits_scenes

SPLITS = {
    "v1.0-trainval": {"train": "train", "val": "val"},
    "v1.0-mini": {"train": "mini_train", "val": "mini_val"},
    "v1.0-test": {"test": "test"},
}
"""For each version the info files to make, and the official split each holds."""

TABLES = (
    "category",
    "attribute",
    "visibility",
    "instance",
    "sensor",
    "calibrated_sensor",
    "ego_pose",
    "log",
    "scene",
    "sample",
    "sample_data",
    "sample_annotation",
    "map",
)


class PreparationError(ValueError):
    """A data set that cannot be prepared; the message says what is missing and where it was looked for."""


def open_tables(root: Path, version: str) -> NuScenes:
    """The tables of one version.

    Raises:
        PreparationError: for an unknown version, a folder without tables, or tables that do not fit together.
    """
    if version not in SPLITS:
        raise PreparationError(f"unknown version {version!r}; expected one of {sorted(SPLITS)}")
    if not root.is_dir():
        raise PreparationError(f"--root {root} is not a folder")
    folder = root / version
    missing = [f"{name}.json" for name in TABLES if not (folder / f"{name}.json").is_file()]
    if missing:
        there = [v for v in SPLITS if (root / v).is_dir()]
        hint = f"; {root} has {', '.join(there)}" if there else ""
        raise PreparationError(
            f"{folder} lacks {', '.join(missing[:3])}{' and more' if len(missing) > 3 else ''}: expected the unpacked "
            f"tables of nuScenes {version} there, beside samples/ and sweeps/{hint}"
        )
    try:
        return NuScenes(version=version, dataroot=str(root), verbose=False)
    except (AssertionError, OSError, ValueError, LookupError) as error:
        raise PreparationError(
            f"the devkit cannot open {folder}: {type(error).__name__}: {error}; is the data set unpacked completely?"
        ) from error


def scenes_by_split(tables: NuScenes) -> dict[str, list[dict]]:
    """Scene records of each info file to make, in the order of time; splits without scenes are left out.

    Raises:
        PreparationError: when no scene of the tables is in an official split.
    """
    official = create_splits_scenes()
    found = {}
    for name, split in SPLITS[tables.version].items():
        members = set(official[split])
        scenes = [scene for scene in tables.scene if scene["name"] in members]
        if scenes:
            found[name] = sorted(scenes, key=lambda s: tables.get("sample", s["first_sample_token"])["timestamp"])
    if not found:
        names = sorted(scene["name"] for scene in tables.scene)[:5]
        raise PreparationError(f"no scene of {tables.version} is in an official split; its scenes are {names} …")
    return found


def fingerprint(root: Path, version: str) -> str:
    """A hash that changes when the tables do: of the sizes of all, and of what is in three that are short."""
    digest = hashlib.sha256()
    for name in TABLES:
        path = root / version / f"{name}.json"
        digest.update(f"{name} {path.stat().st_size}\n".encode())
        if name in ("scene", "sample", "calibrated_sensor"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
