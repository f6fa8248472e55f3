"""Info files of a whole data set, made scene by scene."""

import pickle
from dataclasses import asdict, dataclass
from pathlib import Path

from nuscenes import NuScenes

from ponderv2.datasets.info_file import load_info_file, read_plain_pickle
from ponderv2.datasets.nuscenes_constants import DETECTION_CLASSES

from .frames import SceneFrames
from .nuscenes_tables import PreparationError, fingerprint, scenes_by_split
from .parts import Record, remove_parts, run_in_parts, write_atomically

LAYOUT = 1
"""Number of the layout of the entries; it goes up when they change, so that older info files are made anew."""


@dataclass(frozen=True)
class InfoSettings:
    """Settings that the content of an info file depends on, besides the tables.

    Attributes:
        lidar_sweeps: largest number of earlier LiDAR sweeps of a key frame.
        camera_sweeps: largest number of earlier images of a camera and key frame.
    """

    lidar_sweeps: int = 10
    camera_sweeps: int = 0


def create_info_files(
    tables: NuScenes, out: Path, settings: InfoSettings, workers: int = 1, overwrite: bool = False
) -> dict[str, Path]:
    """Write `nuscenes_infos_<split>.pkl` for the official splits of the tables' version.

    Finished files are recognised and left alone; an interrupted run goes on with the scenes that are missing.

    Args:
        tables: tables that the devkit opened.
        out: folder of the info files.
        settings: numbers of earlier sweeps.
        workers: number of processes.
        overwrite: whether info files that were made from other tables or with other settings are replaced.

    Returns:
        Paths of the info files by split, such as "train".

    Raises:
        PreparationError: files of the data set are missing, or an info file made from something else is in the way.
    """
    made_from = asdict(settings) | {
        "layout": LAYOUT,
        "version": tables.version,
        "tables": fingerprint(Path(tables.dataroot), tables.version),
    }
    record, frames_of = Record(out), None
    files = {}
    for split, scenes in scenes_by_split(tables).items():
        path = files[split] = out / f"nuscenes_infos_{split}.pkl"
        if record.matches(path, made_from):
            print(f"{path} is finished")
            continue
        parts = out / "parts" / f"infos_{split}_{made_from['tables']}_{settings.lidar_sweeps}_{settings.camera_sweeps}"
        if path.exists() and not (overwrite or parts.is_dir()):
            raise PreparationError(
                f"{path} was made from other tables or with other settings, or by another tool; "
                "give --overwrite to replace it, or another --out"
            )
        frames_of = frames_of or SceneFrames(tables, settings.lidar_sweeps, settings.camera_sweeps)
        tasks = {scene["name"]: scene for scene in scenes}
        finished = run_in_parts(frames_of, tasks, parts, workers, f"info files, {split}")
        write_atomically(path, pickle.dumps(_joined(finished, tables.version, settings), protocol=4))
        record.add(path, made_from)
        remove_parts(parts)
    return files


def _joined(parts: list[Path], version: str, settings: InfoSettings) -> dict:
    frames = [frame for part in parts for frame in read_plain_pickle(part)]
    without_can_bus = sorted({frame["scene_name"] for frame in frames if not frame["can_bus_measured"]})
    metainfo = {
        "categories": {name: label for label, name in enumerate(DETECTION_CLASSES)} | {"ignore": -1},
        "dataset": "nuscenes",
        "version": version,
        "info_version": "1.1",
        "ponder_layout": LAYOUT,
        "lidar_sweeps": settings.lidar_sweeps,
        "camera_sweeps": settings.camera_sweeps,
        "scenes_without_can_bus": without_can_bus,
    }
    # mmdet3d wants to know a sample by its place in the file.
    return {"metainfo": metainfo, "data_list": [{"sample_idx": k} | frame for k, frame in enumerate(frames)]}


def frames_by_scene(info_file: Path) -> dict[str, list[dict]]:
    """Read the key frames of an info file, grouped by scene name, in the order of the file."""
    scenes: dict[str, list[dict]] = {}
    for frame in load_info_file(info_file)["data_list"]:
        scenes.setdefault(frame["scene_name"], []).append(frame)
    return scenes
