"""Exported key points as what places are described by."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ponderv2.errors import UserError
from ponderv2.evaluation.keypoint_files import read_keypoints

from .place_features import PlaceFeatures


@dataclass(frozen=True)
class KeypointPlaces:
    """The key points of a key frame.

    Attributes:
        features: their places and descriptors.
        pose: LiDAR to the map, `[4, 4]`.
    """

    features: PlaceFeatures
    pose: np.ndarray


def read_keypoint_folder(folder: Path, modality: str) -> tuple[dict[str, KeypointPlaces], str]:
    """Read the key points of one modality, by the token of their key frame, and the hash of their model.

    Args:
        folder: files of `write_keypoints`.
        modality: the `source` that is read: "lidar" or "image".

    Raises:
        UserError: there are none, a file cannot be used, two files are of one key frame, or of two models.
    """
    found: dict[str, PlaceFeatures] = {}
    model = ""
    paths = sorted(folder.glob("*.npz"))
    for path in paths:
        points = read_keypoints(path)
        if points.source != modality:
            continue
        if points.token in found:
            raise UserError(f"--keypoints {path}: key frame {points.token} has another file, too")
        if found and points.model != model:
            raise UserError(
                f"--keypoints {path}: is of the model {points.model[:12]}, and others are of {model[:12]}; export all "
                "of them at once"
            )
        model = points.model
        features = PlaceFeatures(torch.from_numpy(points.places), torch.from_numpy(points.descriptors))
        found[points.token] = KeypointPlaces(features, points.lidar2global)
    if not found:
        raise UserError(f"--keypoints {folder}: none of its {len(paths)} npz files has the source {modality!r}")
    return found, model
