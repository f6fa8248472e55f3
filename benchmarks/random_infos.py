"""A random info file, and a random index of a ground-truth database, as large as those of nuScenes' training set.

What is in them has the form and the size of what `create_data` writes; no file that they name exists.
"""

import hashlib
import pickle
from pathlib import Path

import numpy as np

from ponderv2.datasets import CAMERAS, DETECTION_CLASSES

FRAMES_PER_SCENE = 40


def random_frame(index: int, sweeps: int, instances: float) -> dict:
    """Make the entry of a key frame, with so many earlier LiDAR sweeps, and so many objects in the mean."""
    rng = np.random.default_rng(index)
    scene, place = divmod(index, FRAMES_PER_SCENE)
    seconds = 1.5e9 + 100.0 * scene + 0.5 * place
    # Of a scene, as calibration is.
    calibration = np.random.default_rng([scene])
    lidar2ego = _matrix(calibration)
    images = {camera: _image(rng, _matrix(calibration), camera, index, seconds) for camera in CAMERAS}
    return {
        "sample_idx": index,
        "token": token(f"sample {index}"),
        "timestamp": seconds,
        "scene_token": token(f"scene {scene}"),
        "scene_name": f"scene-{scene:04d}",
        "frame_idx": place,
        "prev": token(f"sample {index - 1}") if place else "",
        "next": token(f"sample {index + 1}") if place + 1 < FRAMES_PER_SCENE else "",
        "map_location": "singapore-onenorth",
        "ego2global": _matrix(rng),
        "can_bus": rng.normal(size=18).tolist(),
        "can_bus_measured": True,
        "lidar_points": {
            "num_pts_feats": 5,
            "lidar_path": _file("LIDAR_TOP", seconds, "pcd.bin"),
            "lidar2ego": lidar2ego,
            "sample_data_token": token(f"lidar {index}"),
        },
        "lidar_sweeps": [_sweep(rng, lidar2ego, index, number, seconds) for number in range(sweeps)],
        "images": images,
        "image_sweeps": [],
        "instances": _instances(index, instances),
    }


def write_infos(path: Path, frames: int, sweeps: int = 10, instances: float = 35.0) -> None:
    """Write an info file of so many key frames."""
    metainfo = {
        "categories": {name: label for label, name in enumerate(DETECTION_CLASSES)} | {"ignore": -1},
        "dataset": "nuscenes",
        "version": "v1.0-trainval",
        "info_version": "1.1",
    }
    data_list = [random_frame(index, sweeps, instances) for index in range(frames)]
    with path.open("wb") as file:
        pickle.dump({"metainfo": metainfo, "data_list": data_list}, file, protocol=4)


def write_index(folder: Path, frames: int, instances: float = 35.0) -> None:
    """Write the index of the database of such an info file; the files of points are not there."""
    folder.mkdir(parents=True, exist_ok=True)
    objects: dict[str, list[dict]] = {name: [] for name in DETECTION_CLASSES}
    for index in range(frames):
        for entry in _instances(index, instances):
            name = DETECTION_CLASSES[entry["bbox_label"]]
            objects[name].append(
                {
                    "class_name": name,
                    "label": entry["bbox_label"],
                    "bbox_3d": entry["bbox_3d"],
                    "velocity": entry["velocity"],
                    "num_points": entry["num_lidar_pts"],
                    "num_key_frame_points": entry["num_lidar_pts"] // 10,
                    "token": entry["token"],
                    "instance_token": entry["instance_token"],
                    "sample_token": token(f"sample {index}"),
                    "scene_name": f"scene-{index // FRAMES_PER_SCENE:04d}",
                    "first_point": 100 * len(objects[name]),
                }
            )
    files = {name: f"lidar_{name}.bin" for name in DETECTION_CLASSES}
    with (folder / "index.pkl").open("wb") as file:
        pickle.dump({"metainfo": {"lidar_files": files}, "objects": objects}, file, protocol=4)


def token(text: str) -> str:
    """Return 32 hexadecimal digits, as nuScenes' tokens have."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _matrix(rng: np.random.Generator) -> list[list[float]]:
    return np.vstack([rng.normal(size=(3, 4)), [0.0, 0.0, 0.0, 1.0]]).tolist()


def _file(sensor: str, seconds: float, ending: str) -> str:
    return f"n015-2018-07-18-11-07-57+0800__{sensor}__{int(seconds * 1e6)}.{ending}"


def _sweep(rng: np.random.Generator, lidar2ego: list, index: int, number: int, seconds: float) -> dict:
    seconds -= 0.05 * (number + 1)
    return {
        "timestamp": seconds,
        "sample_data_token": token(f"sweep {index} {number}"),
        "ego2global": _matrix(rng),
        "lidar_points": {
            "lidar_path": f"sweeps/LIDAR_TOP/{_file('LIDAR_TOP', seconds, 'pcd.bin')}",
            # A list of its own, as each recording's is.
            "lidar2ego": [list(row) for row in lidar2ego],
            "lidar2sensor": _matrix(rng),
        },
    }


def _image(rng: np.random.Generator, cam2ego: list, camera: str, index: int, seconds: float) -> dict:
    return {
        "img_path": _file(camera, seconds, "jpg"),
        "cam2img": [[1266.0 + rng.normal(), 0.0, 816.0], [0.0, 1266.0, 491.5], [0.0, 0.0, 1.0]],
        "cam2ego": cam2ego,
        "lidar2cam": _matrix(rng),
        "ego2global": _matrix(rng),
        "height": 900,
        "width": 1600,
        "timestamp": seconds,
        "sample_data_token": token(f"{camera} {index}"),
    }


def _instances(index: int, mean: float) -> list[dict]:
    # From a generator of their own, so that the database has the objects of the info file.
    rng = np.random.default_rng([index, 1])
    return [_instance(rng, index, number) for number in range(rng.poisson(mean))]


def _instance(rng: np.random.Generator, index: int, number: int) -> dict:
    label, points = int(rng.integers(10)), int(rng.exponential(40))
    return {
        "bbox_3d": rng.normal(scale=20.0, size=3).tolist() + rng.uniform(0.3, 5.0, size=4).tolist(),
        "bbox_label": label,
        "bbox_label_3d": label,
        "bbox_3d_isvalid": points > 0,
        "velocity": rng.normal(size=2).tolist(),
        "num_lidar_pts": points,
        "num_radar_pts": int(rng.integers(4)),
        "category": f"vehicle.{DETECTION_CLASSES[label]}",
        "attribute": "vehicle.parked",
        "visibility": int(rng.integers(1, 5)),
        "token": token(f"annotation {index} {number}"),
        "instance_token": token(f"instance {index // FRAMES_PER_SCENE} {number}"),
    }
