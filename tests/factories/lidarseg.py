"""Key frames with labels of points, small enough for tests: random points, a parked car, and a file of labels each."""

import pickle
from pathlib import Path

import numpy as np

INFO_NAME = "nuscenes_infos_train.pkl"
CAR_BOX = (10.0, 4.0, -1.0, 4.6, 1.9, 1.6, 0.4)
CAR = 17
"""The number of `vehicle.car`."""
CAR_POINTS = 60


def write_labeled_frames(root: Path, frames: int = 4, points: int = 300, version: str = "v1.0-mini") -> dict:
    """Write sweeps, labels and the info file, two frames a scene; returns the content of the info file."""
    folders = root / "samples" / "LIDAR_TOP", root / "lidarseg" / version
    for folder in folders:
        folder.mkdir(parents=True)
    entries = []
    for k in range(frames):
        rng = np.random.default_rng(k)
        cloud, labels = _sweep(rng, points)
        cloud.tofile(folders[0] / f"sweep{k}.pcd.bin")
        labels.tofile(folders[1] / f"lidar{k}_lidarseg.bin")
        entries.append(_entry(k))
    metainfo = {"dataset": "nuscenes", "version": version, "info_version": "1.1"}
    info = {"metainfo": metainfo, "data_list": entries}
    (root / INFO_NAME).write_bytes(pickle.dumps(info))
    return info


def _sweep(rng: np.random.Generator, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Points everywhere with any label but that of a car, those of the car the last."""
    x, y, z, length, width, height, yaw = CAR_BOX
    local = rng.uniform(-0.5, 0.5, (CAR_POINTS, 3)) * (length, width, height)
    c, s = np.cos(yaw), np.sin(yaw)
    car = np.stack([x + c * local[:, 0] - s * local[:, 1], y + s * local[:, 0] + c * local[:, 1], z + local[:, 2]], 1)
    others = rng.uniform((-80, -80, -2), (80, 80, 6), (points - CAR_POINTS, 3))
    xyz = np.concatenate([others, car])
    features = np.stack([rng.uniform(0, 255, points), rng.integers(0, 32, points)], axis=1)
    labels = np.concatenate([rng.choice(np.delete(np.arange(32), CAR), points - CAR_POINTS), np.full(CAR_POINTS, CAR)])
    return np.concatenate([xyz, features], axis=1).astype(np.float32), labels.astype(np.uint8)


def _entry(k: int) -> dict:
    car = {
        "bbox_3d": list(CAR_BOX),
        "bbox_label": 0,
        "bbox_label_3d": 0,
        "velocity": [0.0, 0.0],
        "num_lidar_pts": CAR_POINTS,
        "num_radar_pts": 0,
        "bbox_3d_isvalid": True,
    }
    return {
        "sample_idx": k,
        "token": f"frame {k}",
        "timestamp": 100.0 + k,
        "scene_token": f"scene {k // 2}",
        "ego2global": np.eye(4).tolist(),
        "images": {},
        "lidar_points": {
            "num_pts_feats": 5,
            "lidar_path": f"sweep{k}.pcd.bin",
            "lidar2ego": np.eye(4).tolist(),
            "sample_data_token": f"lidar{k}",
        },
        "lidar_sweeps": [],
        "instances": [car],
        "pts_semantic_mask_path": f"lidar{k}_lidarseg.bin",
    }
