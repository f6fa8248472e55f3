"""A ground-truth database small enough for tests: objects of plain points, with or without plain pictures."""

import pickle
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ponderv2.datasets import DETECTION_CLASSES


def gt_object(
    class_name: str,
    box: Sequence[float],
    velocity: Sequence[float | None] = (1.0, 2.0),
    num_points: int = 20,
    camera: str | None = None,
    color: Sequence[int] = (255, 0, 0),
    sample_token: str | None = None,
) -> dict:
    """An entry of the index without its places, and what pictures are filled with."""
    return {
        "class_name": class_name,
        "label": DETECTION_CLASSES.index(class_name),
        "bbox_3d": list(box),
        "velocity": list(velocity),
        "num_points": num_points,
        "camera": camera,
        "color": color,
    } | ({} if sample_token is None else {"sample_token": sample_token})


def write_gt_database(folder: Path, objects: Sequence[dict], image_size: tuple[int, int] = (24, 40)) -> Path:
    """Write points, with a lag of 0.1 s in every second one, pictures where objects have a camera, and the index."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    points = {name: np.zeros((0, 5), dtype=np.float32) for name in DETECTION_CLASSES}
    pictures = dict.fromkeys(DETECTION_CLASSES, b"")
    index = {name: [] for name in DETECTION_CLASSES}
    for given in objects:
        entry = dict(given)
        name, camera, color = entry["class_name"], entry.pop("camera"), entry.pop("color")
        entry["first_point"] = len(points[name])
        cloud = rng.uniform(-0.2, 0.2, (entry["num_points"], 5)).astype(np.float32)
        cloud[:, 3], cloud[:, 4] = 777.0, 0.1 * (np.arange(len(cloud)) % 2)
        points[name] = np.concatenate([points[name], cloud])
        entry["crop"] = None
        if camera is not None:
            picture = np.full((*image_size, 3), color[::-1], dtype=np.uint8)
            content = cv2.imencode(".png", picture)[1].tobytes()
            entry["crop"] = {
                "camera": camera,
                "box": [0, 0, image_size[1], image_size[0]],
                "depth": 1.0,
                "first_byte": len(pictures[name]),
                "num_bytes": len(content),
            }
            pictures[name] += content
        index[name].append(entry)
    metainfo = {"lidar_files": {name: f"lidar_{name}.bin" for name in DETECTION_CLASSES}}
    for name in DETECTION_CLASSES:
        points[name].tofile(folder / f"lidar_{name}.bin")
    if any(pictures.values()):
        metainfo["image_files"] = {name: f"image_{name}.bin" for name in DETECTION_CLASSES}
        for name in DETECTION_CLASSES:
            (folder / f"image_{name}.bin").write_bytes(pictures[name])
    (folder / "index.pkl").write_bytes(pickle.dumps({"metainfo": metainfo, "objects": index}))
    return folder
