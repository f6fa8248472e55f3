"""A database of annotated objects to paste into other frames: the LiDAR points of each, relative to its box.

A folder holds one `lidar_<class>.bin` a class, points of all its objects one after another (float32: x, y, z
relative to the gravity centre in the axes of the LiDAR frame, intensity, time lag in seconds), and `index.pkl`,
which says where each object's points are. What other sensors see of an object can be added beside.
"""

import pickle
from pathlib import Path

import numpy as np

from ponderv2.datasets.info_file import read_plain_pickle
from ponderv2.datasets.loading import LoadLidarSweeps
from ponderv2.shapes import Float

from .box_points import points_in_box
from .infos import frames_by_scene
from .instances import CLASSES
from .parts import Record, remove_parts, run_in_parts, write_atomically
from .tables import PreparationError

COLUMNS = ("x", "y", "z", "intensity", "lag")
LAYOUT = 1
"""Raised when what is stored changes, so that databases made before are made anew."""


class PasteDatabase:
    """Objects of a database by class, and the points of each.

    Args:
        folder: that `create_paste_database` wrote.

    Raises:
        FileNotFoundError: when the folder holds no finished database.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "index.pkl").is_file():
            raise FileNotFoundError(f"{folder} holds no finished paste database (index.pkl); run tools/create_data.py")
        index = read_plain_pickle(folder / "index.pkl")
        self.metainfo: dict = index["metainfo"]
        self.objects: dict[str, list[dict]] = index["objects"]
        self._files = {name: folder / file for name, file in self.metainfo["lidar_files"].items()}

    def points(self, entry: dict) -> Float[np.ndarray, "q 5"]:
        """A fresh copy of an object's points (see `COLUMNS`), relative to the centre of its box."""
        width = len(COLUMNS)
        values = np.fromfile(
            self._files[entry["class_name"]],
            dtype=np.float32,
            count=entry["num_points"] * width,
            offset=entry["first_point"] * width * 4,
        )
        return values.reshape(-1, width)


class SceneObjects:
    """Cuts the objects out of a scene's key frames.

    Objects of categories that are not detected (label -1) are left out, and so are those that hold no point of
    the key frame: points of earlier sweeps alone are where something was.

    Args:
        root: folder of the data set.
        lidar_sweeps: earlier sweeps that are added to the key frame's points, at most.
    """

    def __init__(self, root: Path, lidar_sweeps: int) -> None:
        self.root = root
        self.load = LoadLidarSweeps(num_sweeps=lidar_sweeps, test_mode=True)

    def __call__(self, frames: list[dict]) -> dict:
        objects, points = [], []
        for frame in frames:
            scene = self._points(frame)
            for instance in frame["instances"]:
                cut = self._cut(scene, instance)
                if cut is not None:
                    objects.append(_entry(frame, instance, cut))
                    points.append(cut)
        return {"objects": objects, "points": points}

    def _points(self, frame: dict) -> Float[np.ndarray, "p 5"]:
        folder = self.root / "samples" / "LIDAR_TOP"
        sweeps = [
            sweep | {"lidar_points": sweep["lidar_points"] | {"lidar_path": str(self.root / path)}}
            for sweep in frame["lidar_sweeps"]
            for path in [sweep["lidar_points"]["lidar_path"]]
        ]
        results = {
            "info_name": f"key frame {frame['token']}",
            "timestamp": frame["timestamp"],
            "lidar_points": {"lidar_path": str(folder / frame["lidar_points"]["lidar_path"])},
            "lidar_sweeps": sweeps,
        }
        try:
            return self.load(results)["points"].tensor.numpy()
        except (FileNotFoundError, ValueError) as error:
            raise PreparationError(str(error)) from error

    def _cut(self, scene: Float[np.ndarray, "p 5"], instance: dict) -> Float[np.ndarray, "q 5"] | None:
        if instance["bbox_label_3d"] < 0:
            return None
        box = np.array(instance["bbox_3d"], dtype=np.float64)
        inside = points_in_box(scene[:, :3], box)
        # Indexing with indices copies: the scene stays as it is for the next object.
        points = scene[inside]
        if not (points[:, 4] == 0).any():
            return None
        points[:, :3] = points[:, :3].astype(np.float64) - box[:3]
        return points


def _entry(frame: dict, instance: dict, points: Float[np.ndarray, "q 5"]) -> dict:
    label = instance["bbox_label_3d"]
    return {
        "class_name": CLASSES[label],
        "label": label,
        "bbox_3d": instance["bbox_3d"],
        "velocity": instance["velocity"],
        "num_points": len(points),
        "num_key_frame_points": int((points[:, 4] == 0).sum()),
        "token": instance["token"],
        "instance_token": instance["instance_token"],
        "sample_token": frame["token"],
        "scene_name": frame["scene_name"],
    }


def create_paste_database(
    info_file: Path, root: Path, out: Path, lidar_sweeps: int = 9, workers: int = 1, overwrite: bool = False
) -> Path:
    """Write the folder `nuscenes_paste_<split>` for an info file; returns it.

    A finished database is recognised and left alone; an interrupted run goes on with the scenes that are missing.

    Args:
        info_file: of this package, `nuscenes_infos_<split>.pkl`.
        root: folder of the data set.
        out: where the folder is put.
        lidar_sweeps: earlier sweeps that are added to the key frame's points, at most.
        workers: processes.
        overwrite: replace a database that was made from another info file.

    Raises:
        PreparationError: a point file is missing or damaged, or a database made from something else is in the way.
    """
    split = info_file.stem.removeprefix("nuscenes_infos_")
    folder = out / f"nuscenes_paste_{split}"
    infos_from = Record(info_file.parent).made_from(info_file)
    made_from = {"layout": LAYOUT, "lidar_sweeps": lidar_sweeps, "infos": infos_from}
    record = Record(out)
    if record.matches(folder, made_from) and (folder / "index.pkl").is_file():
        print(f"{folder} is finished")
        return folder
    parts = out / "parts" / f"paste_{split}_{(infos_from or {}).get('tables', 'unknown')}_{lidar_sweeps}"
    if (folder / "index.pkl").exists() and not (overwrite or parts.is_dir()):
        raise PreparationError(
            f"{folder} was made from another info file; give --overwrite to replace it, or another --out"
        )
    job = SceneObjects(root, lidar_sweeps)
    finished = run_in_parts(job, frames_by_scene(info_file), parts, workers, f"paste database, {split}")
    _join(finished, folder, {"columns": list(COLUMNS), "lidar_sweeps": lidar_sweeps, "info_file": info_file.name})
    record.add(folder, made_from)
    remove_parts(parts)
    return folder


def _join(parts: list[Path], folder: Path, metainfo: dict) -> None:
    """One file of points a class, and the index last: without it the database is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.pkl").unlink(missing_ok=True)
    objects: dict[str, list[dict]] = {name: [] for name in CLASSES}
    files = {name: (folder / f"lidar_{name}.bin").open("wb") for name in CLASSES}
    ends = dict.fromkeys(CLASSES, 0)
    try:
        for part in parts:
            content = read_plain_pickle(part)
            for entry, points in zip(content["objects"], content["points"], strict=True):
                name = entry["class_name"]
                files[name].write(np.ascontiguousarray(points, dtype=np.float32).tobytes())
                objects[name].append(entry | {"first_point": ends[name]})
                ends[name] += len(points)
    finally:
        for file in files.values():
            file.close()
    metainfo = metainfo | {"lidar_files": {name: f"lidar_{name}.bin" for name in CLASSES}}
    write_atomically(folder / "index.pkl", pickle.dumps({"metainfo": metainfo, "objects": objects}, protocol=4))
