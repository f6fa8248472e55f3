"""Earlier key frames of the same scene, packed beside a sample for a temporal encoder."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch

from ponderv2.errors import UserError
from ponderv2.geometry import frame_motion, signals_since
from ponderv2.shapes import Float
from ponderv2.structures import FrameQueue, PastFrame

SHARED_KEYS = ("pcd_rotation_angle", "pcd_scale_factor", "pcd_trans", "pcd_flip")
"""Augmentation of the scene, which earlier frames share with the current one."""

EARLIER = "is_earlier_frame"
"""Key of an info that is prepared as an earlier frame of another sample: true."""

POSE = "lidar2global"
"""Key of a sample for the pose of its LiDAR in the map."""


SIGNALS = "can_bus_signals"
"""Key of a sample for the car's signals, see `LoadCanBus`."""


def lidar_pose(info: Mapping) -> Float[np.ndarray, "4 4"] | None:
    """Return the transform from the LiDAR frame of a key frame to the map, float64; None where the file lacks it."""
    lidar = info.get("lidar_points", {})
    if info.get("ego2global") is None or lidar.get("lidar2ego") is None:
        return None
    return np.array(info["ego2global"], dtype=np.float64) @ np.array(lidar["lidar2ego"], dtype=np.float64)


def choose_history(earlier: list, count: int, draw: bool) -> list:
    """Choose which earlier frames of the scene a sample has.

    Args:
        earlier: frames of the scene before the sample's, the oldest first.
        count: number that is chosen at most.
        draw: whether one of the nearest `count + 1` places is left out at random, so that the frames are not equally
            far apart (published, in training); it may be one before the start of the scene. Otherwise the nearest are
            chosen.
    """
    if not draw:
        return earlier[-count:] if count else []
    left_out = np.random.randint(count + 1)
    # Counted from the nearest back.
    kept = [frame for place, frame in enumerate(reversed(earlier[-count - 1 :])) if place != left_out]
    return kept[::-1]


def pack_history(current: Mapping, past: list[Mapping]) -> FrameQueue:
    """Pack earlier samples as the queue of a sample.

    Args:
        current: the packed sample.
        past: the packed samples of earlier frames, the oldest first.

    Raises:
        UserError: a sample has no images, no pose, or no augmentation matrix.
    """
    samples = [*past, current]
    frames = []
    for sample, following in pairwise(samples):
        (pose, aug), (next_pose, next_aug) = (_pose(s["data_samples"].metainfo) for s in (sample, following))
        if "img" not in sample["inputs"]:
            raise UserError("history: the pipeline does not load images, which are read of earlier frames")
        motion = frame_motion(pose, next_pose, aug, next_aug)
        inputs = sample["inputs"]
        more = dict(can_bus=inputs.get("can_bus"), points=inputs.get("points"))
        frames.append(PastFrame(inputs["img"], inputs["rig"], motion, **more))
    return FrameQueue(tuple(frames))


def link_signals(samples: Sequence[Mapping]) -> None:
    """Make the signals of packed samples of a scene, in the order of time, those since the frame before, in place.

    Raises:
        UserError: a sample has lost what its signals were made of.
    """
    for before, sample in pairwise(samples):
        if "can_bus" in sample["inputs"]:
            now, then = (_known(s["data_samples"].metainfo, SIGNALS) for s in (sample, before))
            sample["inputs"]["can_bus"] = signals_since(now, then)


def _pose(meta: Mapping) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.as_tensor(_known(meta, POSE)), torch.as_tensor(_known(meta, "lidar_aug"))


def _known(meta: Mapping, key: str) -> np.ndarray:
    if key not in meta:
        raise UserError(
            f"history: sample {meta.get('token')} has no {key}; it needs ego2global and lidar_points.lidar2ego in "
            f"the info file, and {POSE}, lidar_aug and, with LoadCanBus, {SIGNALS} among the meta_keys of "
            "PackSensorInputs"
        )
    return meta[key]
