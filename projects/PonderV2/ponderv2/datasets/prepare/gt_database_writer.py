"""Writing a ground-truth database; `datasets.gt_database` says what is in it."""

import pickle
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from ponderv2.datasets.gt_database import COLUMNS
from ponderv2.datasets.nuscenes_constants import DETECTION_CLASSES, LIDAR
from ponderv2.datasets.transforms.loading import LoadLidarSweeps
from ponderv2.errors import UserError
from ponderv2.geometry import points_in_box
from ponderv2.shapes import Float

from .crops import FrameCrops
from .infos import frames_by_scene
from .nuscenes_tables import PreparationError
from .parts import read_part, run_in_parts
from .preparation_lock import preparation_lock
from .prepared_output import PreparedOutput, Record, state

LAYOUT = 1
"""Number of the layout of what is stored; it goes up when that changes, so that older databases are made anew."""


class SceneObjects:
    """Cut the objects out of a scene's key frames.

    Objects of categories that are not detected (label -1) are left out, and so are those that hold no point of
    the key frame: points of earlier sweeps alone are where something was.

    Args:
        root: folder of the data set.
        lidar_sweeps: largest number of earlier sweeps that are added to the key frame's points.
        image_crops: whether pictures of the objects are cut, too.

    Raises:
        PreparationError: on calling it, when a point file or an image is missing or damaged.
    """

    def __init__(self, root: Path, lidar_sweeps: int, image_crops: bool = False) -> None:
        self.root = root
        self.image_crops = image_crops
        self.load = LoadLidarSweeps(num_sweeps=lidar_sweeps, test_mode=True)

    def __call__(self, frames: list[dict]) -> dict:
        objects, points, crops = [], [], []
        for frame in frames:
            scene = self._points(frame)
            cuts = [(instance, self._cut(scene, instance)) for instance in frame["instances"]]
            cuts = [(instance, cut) for instance, cut in cuts if cut is not None]
            objects += [_entry(frame, instance, cut) for instance, cut in cuts]
            points += [cut for _, cut in cuts]
            if self.image_crops and cuts:
                boxes = np.array([instance["bbox_3d"] for instance, _ in cuts], dtype=np.float64)
                crops += FrameCrops(self.root, frame).cut(boxes)
        return {"objects": objects, "points": points} | ({"crops": crops} if self.image_crops else {})

    def _points(self, frame: dict) -> Float[np.ndarray, "p 5"]:
        folder = self.root / "samples" / LIDAR
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
        except UserError as error:
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
        "class_name": DETECTION_CLASSES[label],
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


def create_gt_database(
    info_file: Path,
    root: Path,
    out: Path,
    lidar_sweeps: int = 9,
    workers: int = 1,
    overwrite: bool = False,
    image_crops: bool = False,
) -> Path:
    """Write the folder `nuscenes_gt_database_<split>` for an info file; returns its path.

    A finished database is recognised and left alone; an interrupted run goes on with the scenes that are missing.

    Args:
        info_file: info file `nuscenes_infos_<split>.pkl` that `create_info_files` wrote.
        root: folder of the data set.
        out: folder that the database's folder is put into.
        lidar_sweeps: largest number of earlier sweeps that are added to the key frame's points.
        workers: number of processes.
        overwrite: whether the database is made anew and replaces what is there.
        image_crops: whether a picture of each object is stored as well.

    Raises:
        PreparationError: a point file or an image is missing or damaged, a database made from something else is
            in the way, another process is at work in the folder, or a worker process was killed.
        OSError: a file cannot be written; the database that was there stays.
    """
    split = info_file.stem.removeprefix("nuscenes_infos_")
    folder = out / f"nuscenes_gt_database_{split}"
    with preparation_lock(out):
        # An info file of another tool is known by its content.
        infos = Record(info_file.parent).made_from(info_file) or {"sha256": state(info_file)["sha256"]}
        made_from = {"layout": LAYOUT, "lidar_sweeps": lidar_sweeps, "infos": infos}
        if image_crops:
            # Beside the rest, so that databases without crops are what they were before there were any.
            made_from["image_crops"] = True
        output = PreparedOutput(folder, made_from)
        if not output.begin(overwrite):
            print(f"{folder} is finished")
            return folder
        job = _Unpacked(SceneObjects(root, lidar_sweeps, image_crops))
        description = f"ground-truth database, {split}"
        parts = run_in_parts(job, _packed_scenes(info_file), output.parts, workers, description)
        metainfo = {"columns": list(COLUMNS), "lidar_sweeps": lidar_sweeps, "info_file": info_file.name}
        with output.writing() as unfinished:
            _join(parts, unfinished, metainfo, image_crops)
    return folder


def _packed_scenes(info_file: Path) -> dict[str, bytes]:
    """Pickle the key frames of each scene: a fifth of the memory, which worker processes share and never write to."""
    scenes = frames_by_scene(info_file)
    return {name: pickle.dumps(scenes.pop(name), protocol=4) for name in list(scenes)}


class _Unpacked:
    """Hands the key frames of a scene to a job; an object, so that worker processes can be handed it."""

    def __init__(self, job: SceneObjects) -> None:
        self.job = job

    def __call__(self, packed: bytes) -> dict:
        return self.job(pickle.loads(packed))


def _join(parts: list[Path], folder: Path, metainfo: dict, image_crops: bool) -> None:
    """Write one file of points, and one of crops, for each class, and the index, into a new folder."""
    folder.mkdir()
    objects: dict[str, list[dict]] = {name: [] for name in DETECTION_CLASSES}
    kinds = ("lidar", "image") if image_crops else ("lidar",)
    names = {kind: {name: f"{kind}_{name}.bin" for name in DETECTION_CLASSES} for kind in kinds}
    points_end, bytes_end = dict.fromkeys(DETECTION_CLASSES, 0), dict.fromkeys(DETECTION_CLASSES, 0)
    with ExitStack() as stack:
        files = {
            kind: {name: stack.enter_context((folder / file).open("wb")) for name, file in of_class.items()}
            for kind, of_class in names.items()
        }
        for part in parts:
            content = read_part(part)
            crops = content.get("crops", [None] * len(content["objects"]))
            for entry, points, crop in zip(content["objects"], content["points"], crops, strict=True):
                name = entry["class_name"]
                files["lidar"][name].write(np.ascontiguousarray(points, dtype=np.float32).tobytes())
                entry |= {"first_point": points_end[name]}
                points_end[name] += len(points)
                if image_crops:
                    entry |= {"crop": None}
                if crop is not None:
                    where, picture = crop
                    files["image"][name].write(picture)
                    entry["crop"] = where | {"first_byte": bytes_end[name], "num_bytes": len(picture)}
                    bytes_end[name] += len(picture)
                objects[name].append(entry)
    metainfo = metainfo | {f"{kind}_files": of_class for kind, of_class in names.items()}
    with (folder / "index.pkl").open("wb") as file:
        pickle.dump({"metainfo": metainfo, "objects": objects}, file, protocol=4)
