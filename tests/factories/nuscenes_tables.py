"""A few scenes as nuScenes tables, small enough for tests: a turning car, walls, and a handful of objects."""

import json
import math
from pathlib import Path

import cv2
import numpy as np
from pyquaternion import Quaternion

from ponderv2.datasets.lidarseg_classes import LIDARSEG_CATEGORIES

CAMERAS = {
    "CAM_FRONT": 0,
    "CAM_FRONT_RIGHT": -55,
    "CAM_FRONT_LEFT": 55,
    "CAM_BACK": 180,
    "CAM_BACK_LEFT": 110,
    "CAM_BACK_RIGHT": -110,
}
SCENES = ("scene-0553", "scene-0061", "scene-0103")
"""Two of mini_train, the later one first, and one of mini_val."""
KEY_FRAMES, SWEEPS_BETWEEN, INTERVAL = 3, 3, 0.5
SPEED, TURN = 6.0, 0.5
HEIGHT, WIDTH = 90, 160
SIZES = {
    "vehicle.car": (1.9, 4.6, 1.6),
    "vehicle.truck": (2.6, 8.0, 3.2),
    "human.pedestrian.adult": (0.7, 0.7, 1.8),
    "movable_object.barrier": (2.5, 0.5, 1.0),
    "animal": (0.5, 1.0, 0.6),
}
"""Width, length, height, as in the tables."""
# Category, place at the scene's start, heading, speed, key frames it is annotated in.
OBJECTS = [
    ("vehicle.car", (14.0, 6.0), 0.6, 4.0, (0, 1, 2)),
    ("vehicle.car", (-9.0, -8.0), 2.5, 0.0, (0, 1, 2)),
    ("vehicle.truck", (5.0, 20.0), -1.2, 7.0, (0, 1, 2)),
    ("human.pedestrian.adult", (8.0, -5.0), 1.0, 1.2, (1,)),
    ("movable_object.barrier", (20.0, -6.0), 0.3, 0.0, (0, 1, 2)),
    ("animal", (7.0, 9.0), 0.0, 0.0, (0, 1, 2)),
    ("vehicle.car", (90.0, 90.0), 0.0, 0.0, (0, 1, 2)),  # too far away: no point
]


class Tables:
    """Records of all tables, with tokens that say what they are."""

    def __init__(self, root: Path, version: str) -> None:
        self.root, self.version = root, version
        names = "category attribute visibility instance sensor calibrated_sensor ego_pose log scene sample"
        self.records = {name: [] for name in [*names.split(), "sample_data", "sample_annotation", "map"]}

    def add(self, table: str, token: str, **fields) -> str:
        self.records[table].append({"token": token, **fields})
        return token

    def write(self) -> None:
        folder = self.root / self.version
        folder.mkdir(parents=True, exist_ok=True)
        for name, records in self.records.items():
            (folder / f"{name}.json").write_text(json.dumps(records))


def write_tables(root: Path, version: str = "v1.0-mini", scenes: tuple[str, ...] = SCENES) -> Path:
    """Write tables, sweeps, images, a map and CAN bus messages of the first scene; returns `root`."""
    tables = Tables(root, version)
    (root / "maps").mkdir(parents=True)
    cv2.imwrite(str(root / "maps" / "map.png"), np.zeros((4, 4), dtype=np.uint8))
    tables.add("log", "log", location="singapore-onenorth", logfile="log")
    tables.add("map", "map", filename="maps/map.png", log_tokens=["log"], category="semantic_prior")
    for name in SIZES:
        tables.add("category", name, name=name)
    for name in ("vehicle.moving", "vehicle.parked"):
        tables.add("attribute", name, name=name)
    _add_sensors(tables)
    for number, name in enumerate(scenes):
        # Later scenes of the table are earlier in time.
        _Scene(tables, name, start=1_600_000_000.0 - 1000 * number, seed=number).add()
    tables.write()
    _write_can_bus(root, scenes[0])
    return root


def _add_sensors(tables: Tables) -> None:
    tables.add("sensor", "LIDAR_TOP", channel="LIDAR_TOP", modality="lidar")
    tilted = Quaternion(axis=(0, 0, 1), degrees=-90) * Quaternion(axis=(1, 0, 0), degrees=1.5)
    tables.add(
        "calibrated_sensor",
        "LIDAR_TOP",
        sensor_token="LIDAR_TOP",
        translation=[0.94, 0.0, 1.84],
        rotation=list(tilted),
        camera_intrinsic=[],
    )
    for name, azimuth in CAMERAS.items():
        tables.add("sensor", name, channel=name, modality="camera")
        # A camera's z axis forward, its x axis to the right: seen from the car's x forward, y left, z up.
        mount = Quaternion(axis=(0, 0, 1), degrees=azimuth) * Quaternion(
            matrix=np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
        )
        tables.add(
            "calibrated_sensor",
            name,
            sensor_token=name,
            translation=[1.2 * math.cos(math.radians(azimuth)), 0.4 * math.sin(math.radians(azimuth)), 1.5],
            rotation=list(mount),
            camera_intrinsic=[[100.0, 0.0, 80.0], [0.0, 100.0, 45.0], [0.0, 0.0, 1.0]],
        )


def car_pose(seconds: float) -> tuple[list[float], Quaternion]:
    """Where the car is, so many seconds into a scene: on a circle, turning left."""
    yaw, radius = TURN * seconds, SPEED / TURN
    place = [600 + radius * math.sin(yaw), 1200 + radius * (1 - math.cos(yaw)), 0.3]
    return place, Quaternion(axis=(0, 0, 1), radians=yaw)


def object_place(number: int, seconds: float) -> tuple[np.ndarray, Quaternion]:
    """Centre and orientation of an object in the world."""
    category, place, heading, speed, _ = OBJECTS[number]
    way = speed * seconds * np.array([math.cos(heading), math.sin(heading)])
    centre = np.array([600.0, 1200.0]) + place + way
    return np.array([*centre, SIZES[category][2] / 2]), Quaternion(axis=(0, 0, 1), radians=heading)


class _Scene:
    def __init__(self, tables: Tables, name: str, start: float, seed: int) -> None:
        self.tables, self.name, self.start = tables, name, start
        self.rng = np.random.default_rng(seed)
        self.walls = self._walls()

    def _walls(self) -> np.ndarray:
        """World points of walls around the place, and of the ground."""
        count = 4000
        azimuth = self.rng.uniform(-math.pi, math.pi, count)
        # A square of walls, so that shifts show in every direction.
        reach = 24 / np.maximum(np.abs(np.cos(azimuth)), np.abs(np.sin(azimuth)))
        height = self.rng.uniform(0, 5, count)
        ground = slice(0, count // 4)
        reach[ground] *= self.rng.uniform(0.1, 1, count // 4)
        height[ground] = 0
        return np.stack([600 + reach * np.cos(azimuth), 1200 + reach * np.sin(azimuth), height], axis=1)

    def add(self) -> None:
        step = INTERVAL / (SWEEPS_BETWEEN + 1)
        # Two sweeps before the first key frame.
        times = [
            (k * step, k % (SWEEPS_BETWEEN + 1) == 0) for k in range(-2, (KEY_FRAMES - 1) * (SWEEPS_BETWEEN + 1) + 1)
        ]
        samples = [f"{self.name} sample {k}" for k in range(KEY_FRAMES)]
        for k, token in enumerate(samples):
            self.tables.add(
                "sample",
                token,
                timestamp=self._stamp(k * INTERVAL),
                scene_token=self.name,
                prev=samples[k - 1] if k else "",
                next=samples[k + 1] if k + 1 < len(samples) else "",
            )
        self.tables.add(
            "scene",
            self.name,
            name=self.name,
            description="",
            log_token="log",
            nbr_samples=KEY_FRAMES,
            first_sample_token=samples[0],
            last_sample_token=samples[-1],
        )
        self._add_annotations(samples)
        for channel in ("LIDAR_TOP", *CAMERAS):
            self._add_recordings(channel, times, samples)

    def _stamp(self, seconds: float) -> int:
        return round((self.start + seconds) * 1e6)

    def _add_recordings(self, channel: str, times: list[tuple[float, bool]], samples: list[str]) -> None:
        lag = 0.0 if channel == "LIDAR_TOP" else -0.02
        tokens = [f"{self.name} {channel} {k}" for k in range(len(times))]
        for k, (seconds, is_key_frame) in enumerate(times):
            pose = f"{tokens[k]} pose"
            place, rotation = car_pose(seconds + lag)
            self.tables.add("ego_pose", pose, translation=place, rotation=list(rotation), timestamp=0)
            ending = "pcd.bin" if channel == "LIDAR_TOP" else "jpg"
            path = f"{'samples' if is_key_frame else 'sweeps'}/{channel}/{self.name}__{channel}__{k}.{ending}"
            (self.tables.root / path).parent.mkdir(parents=True, exist_ok=True)
            size = {}
            if channel == "LIDAR_TOP":
                self._sweep(seconds).tofile(self.tables.root / path)
            else:
                cv2.imwrite(str(self.tables.root / path), np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8))
                size = {"height": HEIGHT, "width": WIDTH}
            self.tables.add(
                "sample_data",
                tokens[k],
                sample_token=samples[min(max(math.ceil(seconds / INTERVAL - 1e-9), 0), KEY_FRAMES - 1)],
                ego_pose_token=pose,
                calibrated_sensor_token=channel,
                timestamp=self._stamp(seconds + lag),
                is_key_frame=is_key_frame,
                filename=path,
                fileformat="pcd" if channel == "LIDAR_TOP" else "jpg",
                prev=tokens[k - 1] if k else "",
                next=tokens[k + 1] if k + 1 < len(tokens) else "",
                **size,
            )

    def _sweep(self, seconds: float) -> np.ndarray:
        parts = [self.walls, *self._object_points(seconds)]
        place, rotation = car_pose(seconds)
        mount = self.tables.records["calibrated_sensor"][0]
        points = (np.concatenate(parts) - place) @ rotation.rotation_matrix
        points = (points - mount["translation"]) @ Quaternion(mount["rotation"]).rotation_matrix
        rest = np.stack([self.rng.uniform(0, 255, len(points)), self.rng.integers(0, 32, len(points))], axis=1)
        return np.concatenate([points, rest], axis=1).astype(np.float32)

    def _object_points(self, seconds: float) -> list[np.ndarray]:
        """Points all over the inside of objects, 20 + 10 · number each, but of the last none."""
        found = []
        for number, (category, *_) in enumerate(OBJECTS[:-1]):
            centre, rotation = object_place(number, seconds)
            width, length, height = SIZES[category]
            inside = self.rng.uniform(-0.49, 0.49, (20 + 10 * number, 3)) * (length, width, height)
            found.append(inside @ rotation.rotation_matrix.T + centre)
        return found

    def _add_annotations(self, samples: list[str]) -> None:
        for number, (category, _, _, speed, frames) in enumerate(OBJECTS):
            instance = self.tables.add("instance", f"{self.name} object {number}", category_token=category)
            tokens = {k: f"{instance} at {k}" for k in frames}
            for k in frames:
                centre, rotation = object_place(number, k * INTERVAL)
                attribute = ["vehicle.moving" if speed else "vehicle.parked"] if "vehicle" in category else []
                self.tables.add(
                    "sample_annotation",
                    tokens[k],
                    sample_token=samples[k],
                    instance_token=instance,
                    visibility_token="4",
                    attribute_tokens=attribute,
                    translation=centre.tolist(),
                    size=list(SIZES[category]),
                    rotation=list(rotation),
                    prev=tokens.get(k - 1, ""),
                    next=tokens.get(k + 1, ""),
                    num_lidar_pts=0 if number == len(OBJECTS) - 1 else 20 + 10 * number,
                    num_radar_pts=0,
                )


def write_lidarseg(root: Path, version: str = "v1.0-mini") -> list[Path]:
    """Add labels of all points of key frames, a byte each, and their table; returns the files `<k>_lidarseg.bin`."""
    tables, folder = root / version, root / "lidarseg" / version
    folder.mkdir(parents=True)
    numbers = {name: k for k, name in enumerate(LIDARSEG_CATEGORIES)}
    categories = json.loads((tables / "category.json").read_text())
    (tables / "category.json").write_text(json.dumps([c | {"index": numbers[c["name"]]} for c in categories]))
    recordings = json.loads((tables / "sample_data.json").read_text())
    keys = [r for r in recordings if r["is_key_frame"] and "LIDAR" in r["filename"]]
    paths = [folder / f"{k}_lidarseg.bin" for k in range(len(keys))]
    for path, key in zip(paths, keys, strict=True):
        path.write_bytes(bytes((root / key["filename"]).stat().st_size // 20))
    records = [
        {"token": key["token"], "sample_data_token": key["token"], "filename": str(path.relative_to(root))}
        for path, key in zip(paths, keys, strict=True)
    ]
    (tables / "lidarseg.json").write_text(json.dumps(records))
    return paths


def _write_can_bus(root: Path, scene: str) -> None:
    """Messages every 20 ms from 0.3 s after the scene's start, each with its time in its numbers."""
    folder = root / "can_bus"
    folder.mkdir()
    messages = [
        {
            "accel": [k, 0.1, 9.8],
            "orientation": [1.0, 0.0, 0.0, 0.0],
            "pos": [0.0, 0.0, 0.0],
            "rotation_rate": [0.0, 0.0, TURN],
            "utime": round((1_600_000_000.0 + 0.3 + 0.02 * k) * 1e6),
            "vel": [SPEED, 0.0, 0.0],
        }
        for k in range(60)
    ]
    (folder / f"{scene}_pose.json").write_text(json.dumps(messages))
