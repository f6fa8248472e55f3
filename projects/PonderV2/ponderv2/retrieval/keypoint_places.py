"""Exported key points as what places are described by."""

from pathlib import Path

import torch

from ponderv2.errors import UserError
from ponderv2.evaluation.keypoint_files import read_keypoints

from .place_features import PlaceFeatures


def read_keypoint_folder(folder: Path, modality: str) -> tuple[dict[str, PlaceFeatures], str]:
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
        found[points.token] = PlaceFeatures(torch.from_numpy(points.places), torch.from_numpy(points.descriptors))
    if not found:
        raise UserError(f"--keypoints {folder}: none of its {len(paths)} npz files has the source {modality!r}")
    return found, model
