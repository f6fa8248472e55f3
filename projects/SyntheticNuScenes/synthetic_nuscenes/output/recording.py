"""This module turns a scene into files and table rows: what each sensor records, and the annotations."""

import io
import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from numpy import ndarray
from PIL import Image

from synthetic_nuscenes.build import build_world, place_of
from synthetic_nuscenes.geometry.materials import MATERIALS
from synthetic_nuscenes.light.weather import describe
from synthetic_nuscenes.moment import STATIC
from synthetic_nuscenes.seeds import Purpose, generator
from synthetic_nuscenes.sensors.camera import take_picture
from synthetic_nuscenes.sensors.camera_effects import CameraEffects
from synthetic_nuscenes.sensors.lidar import PERIOD, LidarErrors, Sweep, sweep
from synthetic_nuscenes.sensors.rig import (
    CAMERAS,
    LIDAR_ROTATION,
    LIDAR_TRANSLATION,
    quaternion,
    unit_quaternion,
)
from synthetic_nuscenes.synthetic_errors import naming
from synthetic_nuscenes.town.map_mask import draw_map
from synthetic_nuscenes.world import World

from .annotation_boxes import box_of, points_inside
from .can_bus import write_can_bus
from .tables import CATEGORIES, LIDAR_CHANNEL, token, visibility_token

KEY_FRAME_GAP = 0.5
SWEEPS_PER_KEY_FRAME = round(KEY_FRAME_GAP / PERIOD)
ANNOTATION_RANGE = 80.0
JPEG_QUALITY = 90
_STATIC_LABELS = np.array([CATEGORIES.index(material.label) for material in MATERIALS], np.uint8)

Rows = dict[str, list[dict]]


@dataclass(frozen=True)
class Recording:
    """A `Recording` says what to record: it holds everything that the bytes of a scene depend on.

    With `passes` above 1 each place is driven through so many times, at different times of day, see `plan_scene`.
    """

    seed: int
    keyframes: int
    width: int
    height: int
    errors: LidarErrors = field(default_factory=LidarErrors)
    effects: CameraEffects = field(default_factory=CameraEffects)
    passes: int = 1


def scene_times(keyframes: int) -> tuple[float, float]:
    """Return the first and last moment of a scene (s), with the ten sweeps before its first key frame."""
    return -KEY_FRAME_GAP - 2 * PERIOD, KEY_FRAME_GAP * (keyframes - 1)


def record_scene(root: Path, recording: Recording, scene: int, name: str, version: str) -> Rows:
    """Write the files of scene number `scene` under `root`, and return its table rows."""
    world = build_world(recording.seed, scene, *scene_times(recording.keyframes), recording.passes)
    return _Recorder(root, recording, scene, name, version, world).run()


class _Recorder:
    """A `_Recorder` keeps what the rows of one scene share."""

    def __init__(self, root: Path, recording: Recording, scene: int, name: str, version: str, world: World) -> None:
        self.root, self.recording, self.scene, self.name = root, recording, scene, name
        self.version, self.world = version, world
        self.rows: Rows = defaultdict(list)
        # Microseconds, as nuScenes stamps; an hour between scenes.
        self.start = 1_600_000_000_000_000 + scene * 3_600_000_000
        self.log = f"synthetic-{recording.seed}-{scene:04d}"

    def run(self) -> Rows:
        samples = [self.token("sample", k) for k in range(self.recording.keyframes)]
        self._scene_rows(samples)
        self._calibration()
        sweeps = self._lidar(samples)
        visible = self._cameras(samples)
        self._annotations(samples, sweeps, visible)
        draw_map(self.world.town, self.root / self.rows["map"][0]["filename"])
        write_can_bus(self.root / "can_bus", self.name, self.world, self.start)
        return dict(self.rows)

    def token(self, *parts: object) -> str:
        return token(self.recording.seed, self.scene, *parts)

    def stamp(self, time: float) -> int:
        return self.start + round(time * 1e6)

    def _scene_rows(self, samples: list[str]) -> None:
        log = self.token("log")
        place = f"synthetic-town-{place_of(self.scene, self.recording.passes)}"
        self.rows["log"].append(
            {
                "token": log,
                "logfile": self.log,
                "vehicle": "synthetic",
                "date_captured": datetime.fromtimestamp(self.start / 1e6, tz=timezone.utc).date().isoformat(),
                "location": place,
            }
        )
        drawing = self.token("map")
        self.rows["map"].append(
            {"token": drawing, "log_tokens": [log], "category": "semantic_prior", "filename": f"maps/{drawing}.png"}
        )
        self.rows["scene"].append(
            {
                "token": self.token("scene"),
                "log_token": log,
                "nbr_samples": len(samples),
                "first_sample_token": samples[0],
                "last_sample_token": samples[-1],
                "name": self.name,
                "description": f"{describe(self.world.weather)}; a drive through a ray-cast town",
            }
        )
        for k, (sample, before, after) in enumerate(_chain(samples)):
            row = {"token": sample, "timestamp": self.stamp(k * KEY_FRAME_GAP), "scene_token": self.token("scene")}
            self.rows["sample"].append(row | {"prev": before, "next": after})

    def _calibration(self) -> None:
        size = self.recording.width, self.recording.height
        sensors = [(c.channel, c.translation, c.rotation, c.intrinsic(*size).tolist()) for c in CAMERAS]
        sensors.append((LIDAR_CHANNEL, LIDAR_TRANSLATION, LIDAR_ROTATION, []))
        for channel, translation, rotation, intrinsic in sensors:
            self.rows["calibrated_sensor"].append(
                {
                    "token": self.token("calibrated_sensor", channel),
                    "sensor_token": token("sensor", channel),
                    "translation": list(translation),
                    "rotation": unit_quaternion(rotation),
                    "camera_intrinsic": intrinsic,
                }
            )

    def _data_row(self, channel: str, index: int, count: int, time: float, sample: str, is_key: bool, **more) -> str:
        """Append rows of `sample_data` and `ego_pose`; return the name of the file, relative to the root."""
        name, before, after = (self.token(channel, k) if 0 <= k < count else "" for k in (index, index - 1, index + 1))
        pose = self.world.ego_poses(np.array([time]))[0]
        form = "pcd" if channel == LIDAR_CHANNEL else "jpg"
        folder = "samples" if is_key else "sweeps"
        ending = "pcd.bin" if form == "pcd" else form
        path = f"{folder}/{channel}/{self.log}__{channel}__{self.stamp(time)}.{ending}"
        self.rows["ego_pose"].append(
            {
                "token": name,
                "timestamp": self.stamp(time),
                "rotation": quaternion(pose[:3, :3]),
                "translation": pose[:3, 3].tolist(),
            }
        )
        self.rows["sample_data"].append(
            {
                "token": name,
                "sample_token": sample,
                "ego_pose_token": name,
                "calibrated_sensor_token": self.token("calibrated_sensor", channel),
                "timestamp": self.stamp(time),
                "fileformat": form,
                "is_key_frame": is_key,
                "height": more.get("height", 0),
                "width": more.get("width", 0),
                "filename": path,
                "prev": before,
                "next": after,
            }
        )
        return path

    def _lidar(self, samples: list[str]) -> list[Sweep]:
        """Record all turns, with ten before the first key frame, and return those of the key frames."""
        count = SWEEPS_PER_KEY_FRAME * len(samples) + 1
        kept = []
        for index in range(count):
            offset = index - SWEEPS_PER_KEY_FRAME
            # A turn between key frames belongs to the next one.
            sample = -(-max(offset, 0) // SWEEPS_PER_KEY_FRAME)
            is_key = offset >= 0 and offset % SWEEPS_PER_KEY_FRAME == 0
            time = round(offset * PERIOD, 6)
            rng = generator(Purpose.LIDAR, self.recording.seed, self.scene, index)
            turn = sweep(self.world, time, rng, self.recording.errors)
            path = self._data_row(LIDAR_CHANNEL, index, count, time, samples[sample], is_key)
            _write(self.root / path, turn.points.tobytes())
            if is_key:
                kept.append(turn)
                self._labels(self.rows["sample_data"][-1]["token"], turn)
        return kept

    def _labels(self, data: str, turn: Sweep) -> None:
        kinds = np.array([CATEGORIES.index(a.kind.category) for a in self.world.actors], np.uint8)
        labels = _STATIC_LABELS[turn.material]
        moved = turn.body > STATIC
        labels[moved] = kinds[turn.body[moved] - 1]
        path = f"lidarseg/{self.version}/{data}_lidarseg.bin"
        _write(self.root / path, labels.tobytes())
        self.rows["lidarseg"].append({"token": data, "sample_data_token": data, "filename": path})

    def _cameras(self, samples: list[str]) -> ndarray:
        """Take all pictures; return the visible share of each actor in each key frame, [key frames, actors]."""
        width, height = self.recording.width, self.recording.height
        actors = len(self.world.actors)
        seen, alone = (np.zeros((len(samples), actors)) for _ in range(2))
        for number, camera in enumerate(CAMERAS):
            for k, sample in enumerate(samples):
                time = round(k * KEY_FRAME_GAP + camera.delay, 6)
                rng = generator(Purpose.CAMERA, self.recording.seed, self.scene, number, k)
                effects = self.recording.effects
                picture = take_picture(self.world, camera, time, width, height, effects=effects, rng=rng)
                size = {"width": width, "height": height}
                path = self._data_row(camera.channel, k, len(samples), time, sample, True, **size)
                content = io.BytesIO()
                Image.fromarray(picture.image).save(content, "JPEG", quality=JPEG_QUALITY)
                _write(self.root / path, content.getvalue())
                seen[k] += np.bincount(picture.body[picture.body > STATIC] - 1, minlength=actors)
                alone[k] += picture.alone
        return seen / np.maximum(alone, 1)

    def _annotations(self, samples: list[str], sweeps: list[Sweep], visible: ndarray) -> None:
        times = np.arange(len(samples)) * KEY_FRAME_GAP
        ego = self.world.ego.at(times)[:, :2]
        for actor in range(len(self.world.actors)):
            away = np.linalg.norm(self.world.actor_poses(actor, times)[0][:, :2] - ego, axis=1)
            near = np.flatnonzero(away < ANNOTATION_RANGE)
            if len(near) == 0:
                continue
            # Without gaps, and twice at least, so that every velocity can be told.
            first, last = near[0], near[-1]
            if first == last:
                first, last = (first - 1, last) if first > 0 else (first, min(last + 1, len(samples) - 1))
            self._instance(actor, list(range(first, last + 1)), samples, sweeps, visible)

    def _instance(
        self, actor: int, frames: list[int], samples: list[str], sweeps: list[Sweep], visible: ndarray
    ) -> None:
        who = self.world.actors[actor]
        tokens = [self.token("annotation", actor, k) for k in frames]
        for k, (annotation, before, after) in zip(frames, _chain(tokens)):
            attribute = who.attribute(k * KEY_FRAME_GAP)
            center, yaw = box_of(self.world, actor, k * KEY_FRAME_GAP)
            length, width, height = who.size.tolist()
            row = {
                "token": annotation,
                "sample_token": samples[k],
                "instance_token": self.token("instance", actor),
                "visibility_token": visibility_token(visible[k, actor]),
                "attribute_tokens": [token("attribute", attribute)] if attribute else [],
                "translation": center.tolist(),
                "size": [width, length, height],
                "rotation": [float(np.cos(yaw / 2)), 0.0, 0.0, float(np.sin(yaw / 2))],
                "prev": before,
                "next": after,
            }
            row["num_lidar_pts"] = points_inside(row, self.world, k * KEY_FRAME_GAP, sweeps[k])
            row["num_radar_pts"] = 0
            self.rows["sample_annotation"].append(row)
        self.rows["instance"].append(
            {
                "token": self.token("instance", actor),
                "category_token": token("category", who.kind.category),
                "nbr_annotations": len(frames),
                "first_annotation_token": tokens[0],
                "last_annotation_token": tokens[-1],
            }
        )


def _chain(tokens: list[str]) -> list[tuple[str, str, str]]:
    """Return each token with the one before and the one after; both are empty strings at the ends."""
    return list(zip(tokens, ["", *tokens[:-1]], [*tokens[1:], ""]))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path):
        path.write_bytes(content)


def write_rows(folder: Path, rows: Rows) -> None:
    """Write one JSON file for each table."""
    for table, content in rows.items():
        _write(folder / f"{table}.json", (json.dumps(content, indent=0) + "\n").encode())
