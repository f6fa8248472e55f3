"""nuScenes' official tables, opened by the official devkit, with errors that say what to do."""

import hashlib
from pathlib import Path

from nuscenes import NuScenes

from ponderv2.datasets.lidarseg_classes import LIDARSEG_CATEGORIES
from ponderv2.datasets.splits import SPLITS, scenes_of
from ponderv2.errors import UserError

from .lean_tables import LeanTables

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
"""Names of the files, without `.json`, that the devkit needs."""


class PreparationError(UserError):
    """A data set that cannot be prepared; the message says what is missing and where it was looked for."""


def missing_tables(root: Path, version: str) -> list[str]:
    """Return the names of the table files of a version that the devkit needs and the folder does not have."""
    return [f"{name}.json" for name in TABLES if not (root / version / f"{name}.json").is_file()]


def open_tables(root: Path, version: str, camera_sweeps: bool = True) -> LeanTables:
    """Open the tables of one version, without rows that info files have no use for (see `LeanTables`).

    Args:
        root: folder of the data set.
        version: "v1.0-trainval", "v1.0-mini" or "v1.0-test".
        camera_sweeps: whether images between key frames are kept, which takes twice the memory.

    Raises:
        PreparationError: the version is unknown, the folder has no tables, or they do not fit together.
    """
    if version not in SPLITS:
        raise PreparationError(f"unknown version {version!r}; expected one of {sorted(SPLITS)}")
    if not root.is_dir():
        raise PreparationError(f"--root {root} is not a folder")
    folder = root / version
    missing = missing_tables(root, version)
    if missing:
        there = [v for v in SPLITS if (root / v).is_dir()]
        hint = f"; {root} has {', '.join(there)}" if there else ""
        if (root / "category.json").is_file():
            hint = f"; {root} holds tables itself: --root is the folder above"
        raise PreparationError(
            f"{folder} lacks {', '.join(missing[:3])}{' and more' if len(missing) > 3 else ''}: expected the unpacked "
            f"tables of nuScenes {version} there, beside samples/ and sweeps/{hint}"
        )
    try:
        return LeanTables(version, root, camera_sweeps)
    except (AssertionError, OSError, ValueError, LookupError) as error:
        raise PreparationError(
            f"the devkit cannot open {folder}: {type(error).__name__}: {error}; is the data set unpacked completely?"
        ) from error


def check_categories(tables: NuScenes) -> None:
    """Check that the tables number the categories as the files of lidarseg and `LIDARSEG_CATEGORIES` do.

    Raises:
        PreparationError: a category has another number.
    """
    numbers = {name: number for number, name in enumerate(LIDARSEG_CATEGORIES)}
    for category in tables.category:
        expected = numbers.get(category["name"])
        if category.get("index") != expected:
            raise PreparationError(
                f"{Path(tables.dataroot) / tables.version}/category.json gives {category['name']!r} the index "
                f"{category.get('index')}, expected {expected}; take the category.json that comes with "
                "nuScenes-lidarseg"
            )


def scenes_by_split(tables: NuScenes) -> dict[str, list[dict]]:
    """Find the scene records of each info file to make, in the order of time; splits without scenes are left out.

    Raises:
        PreparationError: no scene of the tables is in an official split.
    """
    found = {}
    for name, split in SPLITS[tables.version].items():
        members = scenes_of(split)
        scenes = [scene for scene in tables.scene if scene["name"] in members]
        if scenes:
            found[name] = sorted(scenes, key=lambda s: tables.get("sample", s["first_sample_token"])["timestamp"])
    if not found:
        names = sorted(scene["name"] for scene in tables.scene)[:5]
        raise PreparationError(f"no scene of {tables.version} is in an official split; its scenes are {names} …")
    return found


def fingerprint(root: Path, version: str) -> str:
    """Compute a hash that changes when the tables do: of the sizes of all, and of the content of three short ones."""
    digest = hashlib.sha256()
    for name in TABLES:
        path = root / version / f"{name}.json"
        digest.update(f"{name} {path.stat().st_size}\n".encode())
        if name in ("scene", "sample", "calibrated_sensor"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def optional_inputs(root: Path, version: str) -> dict[str, str]:
    """Describe what a data set may have or not: "none", or the number of files and a hash of their names and sizes.

    These are the poses of the CAN bus, the table of lidarseg, and everything in `maps/`.
    """
    found = {
        "can_bus": sorted((root / "can_bus").glob("*_pose.json")),
        "lidarseg": sorted((root / version).glob("lidarseg.json")),
        "maps": sorted(path for path in (root / "maps").rglob("*") if path.is_file()),
    }
    return {name: _names_and_sizes(root, paths) for name, paths in found.items()}


def _names_and_sizes(root: Path, paths: list[Path]) -> str:
    if not paths:
        return "none"
    text = "".join(f"{path.relative_to(root)} {path.stat().st_size}\n" for path in paths)
    return f"{len(paths)} files {hashlib.sha256(text.encode()).hexdigest()[:8]}"
