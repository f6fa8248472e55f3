"""Info files of a whole data set, made scene by scene."""

import io
import pickle
from dataclasses import asdict, dataclass
from pathlib import Path

from ponderv2.datasets.info_file import load_info_file
from ponderv2.datasets.nuscenes_constants import DETECTION_CLASSES

from .frames import SceneFrames
from .lean_tables import LeanTables
from .nuscenes_tables import fingerprint, optional_inputs, scenes_by_split
from .parts import read_part, run_in_parts
from .preparation_lock import preparation_lock
from .prepared_output import PreparedOutput

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
    tables: LeanTables, out: Path, settings: InfoSettings, workers: int = 1, overwrite: bool = False
) -> dict[str, Path]:
    """Write `nuscenes_infos_<split>.pkl` for the official splits of the tables' version.

    Finished files are recognised and left alone; an interrupted run goes on with the scenes that are missing. What a
    file was made from is known by the settings, sizes and some of the content of the tables, and the names and sizes
    of what is optional (CAN bus, lidarseg, maps). Recordings are not part of it: they are checked, not compared.

    Args:
        tables: tables that `open_tables` opened.
        out: folder of the info files.
        settings: numbers of earlier sweeps.
        workers: number of processes.
        overwrite: whether info files are made anew and replaced, whatever is there.

    Returns:
        Paths of the info files by split, such as "train".

    Raises:
        ValueError: the tables were opened without the images between key frames that `settings` ask for.
        PreparationError: files of the data set are missing, empty or cut, an info file made from something else is in
            the way, another process is at work in the folder, or a worker process was killed.
        OSError: a file cannot be written; those that were there stay.
    """
    if settings.camera_sweeps and not tables.camera_sweeps:
        raise ValueError("open_tables(camera_sweeps=False) left out what InfoSettings.camera_sweeps asks for")
    root = Path(tables.dataroot)
    made_from = (
        asdict(settings)
        | {"layout": LAYOUT, "version": tables.version, "tables": fingerprint(root, tables.version)}
        | optional_inputs(root, tables.version)
    )
    files = {}
    with preparation_lock(out):
        frames_of = SceneFrames(tables, settings.lidar_sweeps, settings.camera_sweeps)
        for split, scenes in scenes_by_split(tables).items():
            path = files[split] = out / f"nuscenes_infos_{split}.pkl"
            output = PreparedOutput(path, made_from)
            if not output.begin(overwrite):
                print(f"{path} is finished")
                continue
            tasks = {scene["name"]: scene for scene in scenes}
            parts = run_in_parts(frames_of, tasks, output.parts, workers, f"info files, {split}")
            with output.writing() as unfinished:
                _join(parts, unfinished, tables.version, settings)
    return files


def _join(parts: list[Path], path: Path, version: str, settings: InfoSettings) -> None:
    """Write `{data_list, metainfo}` as one pickle, of which a scene at a time is in memory.

    A pickle is a program for a small stack machine, and so can be put together: those of the frames, without their
    beginnings and ends, between the instructions that make a list and a dict of them.
    """
    count, without_can_bus = 0, set()
    with path.open("wb") as file:
        file.write(pickle.PROTO + bytes([4]) + pickle.EMPTY_DICT + pickle.MARK)
        file.write(_instructions(["data_list"]) + pickle.EMPTY_LIST)
        for part in parts:
            # mmdet3d wants to know a sample by its place in the file.
            frames = [{"sample_idx": count + k} | frame for k, frame in enumerate(read_part(part))]
            scene = pickle.MARK + _instructions(frames) + pickle.APPENDS
            # Protocol 4 says how much is to be read at once; a file is read in many small pieces without that.
            file.write(pickle.FRAME + len(scene).to_bytes(8, "little") + scene)
            count += len(frames)
            without_can_bus |= {frame["scene_name"] for frame in frames if not frame["can_bus_measured"]}
        metainfo = {
            "categories": {name: label for label, name in enumerate(DETECTION_CLASSES)} | {"ignore": -1},
            "dataset": "nuscenes",
            "version": version,
            "info_version": "1.1",
            "ponder_layout": LAYOUT,
            "lidar_sweeps": settings.lidar_sweeps,
            "camera_sweeps": settings.camera_sweeps,
            "scenes_without_can_bus": sorted(without_can_bus),
        }
        file.write(_instructions(["metainfo", metainfo]) + pickle.SETITEMS + pickle.STOP)


def _instructions(values: list) -> bytes:
    """Pickle values one after the other, without beginnings and ends; what they share is written once.

    Protocol 3 is the last one that numbers what it memorizes itself, so that pickles do not get in each other's way.
    """
    found, memory = [], io.BytesIO()
    pickler = pickle.Pickler(memory, protocol=3)
    for value in values:
        pickler.dump(value)
        found.append(memory.getvalue()[2:-1])
        memory.seek(0)
        memory.truncate()
    return b"".join(found)


def frames_by_scene(info_file: Path) -> dict[str, list[dict]]:
    """Read the key frames of an info file, grouped by scene name, in the order of the file."""
    scenes: dict[str, list[dict]] = {}
    for frame in load_info_file(info_file)["data_list"]:
        scenes.setdefault(frame["scene_name"], []).append(frame)
    return scenes
