"""Entries of an info file, made from the tables: mmdet3d's v2 keys, and more.

Everything is a plain Python value, so that an info file needs no library to be read.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from nuscenes import NuScenes

from ponderv2.datasets.nuscenes_constants import CAMERAS, LIDAR
from ponderv2.shapes import Float

from .can_bus_signals import CanBus, can_bus_vector
from .instances import instances_of
from .nuscenes_tables import PreparationError, check_categories
from .poses import sensor_poses
from .recording_files import RecordingFiles


class SceneFrames:
    """Make the entries of a scene's key frames, in the order of time.

    Args:
        tables: tables that the devkit opened.
        lidar_sweeps: largest number of earlier LiDAR sweeps of a key frame.
        camera_sweeps: largest number of earlier images of a camera and key frame.

    Raises:
        PreparationError: the categories of lidarseg are not numbered officially; on calling it, when a sensor of the
            scene or labels of a key frame are missing, or a file is missing, empty, cut or of wrong values.
    """

    def __init__(self, tables: NuScenes, lidar_sweeps: int = 10, camera_sweeps: int = 0) -> None:
        self.tables = tables
        self.root = Path(tables.dataroot)
        self.lidar_sweeps, self.camera_sweeps = lidar_sweeps, camera_sweeps
        self.can_bus = CanBus(self.root)
        self.lidarseg = {record["sample_data_token"]: record for record in getattr(tables, "lidarseg", [])}
        if self.lidarseg:
            check_categories(tables)

    def __call__(self, scene: dict) -> list[dict]:
        messages = self.can_bus.messages(scene["name"])
        # Scenes share no recordings, and key frames of one share many.
        self.files = RecordingFiles(self.root)
        try:
            samples = sorted(self._samples(scene), key=lambda sample: sample["timestamp"])
            return [self._frame(scene, sample, index, messages) for index, sample in enumerate(samples)]
        except KeyError as error:
            raise PreparationError(
                f"{scene['name']}: the tables refer to {error}, which is not in them; are all of one version?"
            ) from error

    def _samples(self, scene: dict) -> Iterator[dict]:
        token = scene["first_sample_token"]
        while token:
            sample = self.tables.get("sample", token)
            yield sample
            token = sample["next"]

    def _frame(self, scene: dict, sample: dict, index: int, messages: list[dict]) -> dict:
        lidar = self._recording(sample, LIDAR)
        self.files.check_points(lidar["filename"])
        lidar2ego, ego2global = sensor_poses(self.tables, lidar)
        lidar2global = ego2global @ lidar2ego
        pose = self.tables.get("ego_pose", lidar["ego_pose_token"])
        can_bus, measured = can_bus_vector(messages, sample["timestamp"], pose, ego2global)
        frame = {
            "token": sample["token"],
            "timestamp": sample["timestamp"] / 1e6,
            "scene_token": scene["token"],
            "scene_name": scene["name"],
            "frame_idx": index,
            "prev": sample["prev"],
            "next": sample["next"],
            "map_location": self._location(scene),
            "ego2global": ego2global.tolist(),
            "can_bus": can_bus,
            "can_bus_measured": measured,
            "lidar_points": {
                "num_pts_feats": 5,
                "lidar_path": Path(lidar["filename"]).name,
                "lidar2ego": lidar2ego.tolist(),
                "sample_data_token": lidar["token"],
            },
            "lidar_sweeps": [
                self._lidar_sweep(recording, lidar2global) for recording in self._earlier(lidar, self.lidar_sweeps)
            ],
            "images": {
                camera: self._image(self._recording(sample, camera), lidar2global, in_samples=True)
                for camera in CAMERAS
            },
            "image_sweeps": self._image_sweeps(sample, lidar2global),
            "instances": instances_of(self.tables, sample, lidar2global),
        }
        if self.lidarseg:
            if lidar["token"] not in self.lidarseg:
                raise PreparationError(
                    f"{self.root / self.tables.version}/lidarseg.json has no labels of {lidar['filename']}, the sweep "
                    f"of key frame {sample['token']}; are all tables of one version?"
                )
            path = self.lidarseg[lidar["token"]]["filename"]
            self.files.check_labels(path, points=lidar["filename"])
            frame["pts_semantic_mask_path"] = Path(path).name
        return frame

    def _recording(self, sample: dict, channel: str) -> dict:
        if channel not in sample["data"]:
            raise PreparationError(
                f"sample {sample['token']} has no {channel}; it has {sorted(sample['data'])}. "
                "Are all tables of one version?"
            )
        return self.tables.get("sample_data", sample["data"][channel])

    def _location(self, scene: dict) -> str:
        # The official tables always say; those of tests may leave logs out.
        return self.tables.get("log", scene["log_token"])["location"] if scene.get("log_token") else ""

    def _earlier(self, recording: dict, count: int) -> Iterator[dict]:
        """Go through up to `count` recordings of the same sensor before this one, the nearest first."""
        for _ in range(count):
            if not recording["prev"]:
                return
            recording = self.tables.get("sample_data", recording["prev"])
            yield recording

    def _lidar_sweep(self, recording: dict, key_lidar2global: Float[np.ndarray, "4 4"]) -> dict:
        lidar2ego, ego2global = sensor_poses(self.tables, recording)
        self.files.check_points(recording["filename"])
        return {
            "timestamp": recording["timestamp"] / 1e6,
            "sample_data_token": recording["token"],
            "ego2global": ego2global.tolist(),
            "lidar_points": {
                "lidar_path": recording["filename"],
                "lidar2ego": lidar2ego.tolist(),
                # mmdet3d's direction: key-frame LiDAR to the sweep's. Points of the sweep need its inverse.
                "lidar2sensor": (np.linalg.inv(ego2global @ lidar2ego) @ key_lidar2global).tolist(),
            },
        }

    def _image(self, recording: dict, key_lidar2global: Float[np.ndarray, "4 4"], in_samples: bool) -> dict:
        cam2ego, ego2global = sensor_poses(self.tables, recording)
        width, height = int(recording["width"]), int(recording["height"])
        self.files.check_image(recording["filename"], width, height)
        sensor = self.tables.get("calibrated_sensor", recording["calibrated_sensor_token"])
        return {
            "img_path": Path(recording["filename"]).name if in_samples else recording["filename"],
            "cam2img": np.array(sensor["camera_intrinsic"], dtype=np.float64).tolist(),
            "cam2ego": cam2ego.tolist(),
            "lidar2cam": (np.linalg.inv(ego2global @ cam2ego) @ key_lidar2global).tolist(),
            "ego2global": ego2global.tolist(),
            "height": height,
            "width": width,
            "timestamp": recording["timestamp"] / 1e6,
            "sample_data_token": recording["token"],
        }

    def _image_sweeps(self, sample: dict, key_lidar2global: Float[np.ndarray, "4 4"]) -> list[dict]:
        """Make entries whose k-th holds the k-th image before the key frame of each camera that has so many."""
        sweeps = [{"images": {}} for _ in range(self.camera_sweeps)]
        for camera in CAMERAS:
            recordings = self._earlier(self._recording(sample, camera), self.camera_sweeps)
            for sweep, recording in zip(sweeps, recordings, strict=False):
                sweep["images"][camera] = self._image(recording, key_lidar2global, in_samples=False)
        return [sweep for sweep in sweeps if sweep["images"]]
