"""A key frame small enough for tests: a plane, a few boxes, six cameras, one sweep and two earlier ones."""

import math
import pickle
from pathlib import Path

import cv2
import numpy as np

CAMERAS = ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_FRONT_LEFT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_BACK_RIGHT")
YAWS = (0, -60, 60, 180, 120, -120)
HEIGHT, WIDTH = 90, 160
GROUND = -1.8
INFO_NAME = "nuscenes_infos_keyframe.pkl"


def write_keyframe(root: Path, cameras: tuple[str, ...] = CAMERAS) -> dict:
    """Write images, sweeps and `nuscenes_infos_keyframe.pkl`; returns the content of the info file."""
    rng = np.random.default_rng(0)
    images = {}
    for name, yaw in zip(CAMERAS, YAWS, strict=True):
        if name not in cameras:
            continue
        folder = root / "samples" / name
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / "frame.png"), _picture(rng)[..., ::-1])
        images[name] = {
            "img_path": "frame.png",
            "cam2img": [[130.0, 0.0, (WIDTH - 1) / 2], [0.0, 130.0, (HEIGHT - 1) / 2], [0.0, 0.0, 1.0]],
            "lidar2cam": _lidar2cam(math.radians(yaw)).tolist(),
        }
    points = _sweep(rng)
    for folder in ("samples", "sweeps"):
        (root / folder / "LIDAR_TOP").mkdir(parents=True, exist_ok=True)
    points.tofile(root / "samples" / "LIDAR_TOP" / "key.pcd.bin")
    frame = {
        "sample_idx": 0,
        "token": "factory",
        "timestamp": 100.0,
        "ego2global": np.eye(4).tolist(),
        "images": images,
        "lidar_points": {"num_pts_feats": 5, "lidar_path": "key.pcd.bin", "lidar2ego": np.eye(4).tolist()},
        "lidar_sweeps": [_earlier_sweep(root, points, k) for k in (1, 2)],
        "instances": _instances(),
    }
    info = {
        "metainfo": {"dataset": "nuscenes", "version": "v1.0-mini", "info_version": "1.1"},
        "data_list": [frame],
    }
    (root / INFO_NAME).write_bytes(pickle.dumps(info))
    return info


def _lidar2cam(yaw: float) -> np.ndarray:
    """A camera at (0.5, 0, 0.3) turned by `yaw` from +y (mmdet3d's LiDAR looks along y), counter-clockwise."""
    forward = np.array([-math.sin(yaw), math.cos(yaw), 0.0])
    down = np.array([0.0, 0.0, -1.0])
    rotation = np.stack([np.cross(down, forward), down, forward])
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = -rotation @ np.array([0.5, 0.0, 0.3])
    return matrix


def _picture(rng: np.random.Generator) -> np.ndarray:
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    waves = [np.sin(u / rng.uniform(15, 40) + v / rng.uniform(15, 40) + k) for k in range(3)]
    return (127 + 100 * np.stack(waves, axis=-1)).astype(np.uint8)


def _sweep(rng: np.random.Generator) -> np.ndarray:
    """Returns from the ground and from a cylinder of radius 20 m around the car."""
    azimuth = rng.uniform(-math.pi, math.pi, 3000)
    radius = np.concatenate([rng.uniform(4, 20, 1500), np.full(1500, 20.0)])
    height = np.concatenate([np.full(1500, GROUND), rng.uniform(GROUND, 2.0, 1500)])
    columns = [
        radius * np.cos(azimuth),
        radius * np.sin(azimuth),
        height,
        rng.uniform(0, 255, 3000),
        rng.integers(0, 32, 3000),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def key_to_sweep(k: int) -> np.ndarray:
    """Key-frame LiDAR → LiDAR of the k-th earlier sweep: the car drives and turns."""
    angle = 0.2 * k
    matrix = np.eye(4)
    matrix[:2, :2] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    matrix[:3, 3] = [0.4 * k, 1.5 * k, 0.0]
    return matrix


def _earlier_sweep(root: Path, points: np.ndarray, k: int) -> dict:
    """The same world seen from an earlier pose, and two returns from the car itself."""
    matrix = key_to_sweep(k)
    moved = points.copy()
    moved[:, :3] = points[:, :3] @ matrix[:3, :3].T + matrix[:3, 3]
    moved[:2, :3] = 0.3
    moved.tofile(root / "sweeps" / "LIDAR_TOP" / f"sweep{k}.pcd.bin")
    return {
        "timestamp": 100.0 - 0.05 * k,
        "lidar_points": {"lidar_path": f"sweep{k}.pcd.bin", "lidar2sensor": matrix.tolist()},
    }


def _instances() -> list[dict]:
    boxes = [
        [8.0, 5.0, -1.0, 4.6, 1.9, 1.6, 0.4],
        [-6.0, 12.0, -0.9, 0.7, 0.7, 1.8, -2.0],
        [3.0, -15.0, 0.0, 9.0, 2.6, 3.4, 3.0],
    ]
    return [
        {
            "bbox_3d": box,
            "bbox_label": k,
            "bbox_label_3d": k,
            "velocity": [1.0, 0.5],
            "num_lidar_pts": 5,
            "num_radar_pts": 1,
            "bbox_3d_isvalid": True,
        }
        for k, box in enumerate(boxes)
    ]
