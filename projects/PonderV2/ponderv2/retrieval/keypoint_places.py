"""Exported key points as what places are described by."""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch

from ponderv2.errors import UserError

from .place_features import PlaceFeatures

_KEYS = {"places", "descriptors", "scores", "token", "source"}


def read_keypoint_folder(folder: Path, modality: str) -> dict[str, PlaceFeatures]:
    """Read the key points of one modality, by the token of their key frame.

    Args:
        folder: npz files, each with `places` `[K, 3]` in metres of the LiDAR frame, `descriptors` `[K, C]`, `scores`
            `[K]`, `token` and `source`.
        modality: the `source` that is read: "lidar" or "image".

    Raises:
        UserError: there are none, a file is damaged or lacks a key, a number is not finite, or two files are of one key
            frame.
    """
    found = {}
    paths = sorted(folder.glob("*.npz"))
    for path in paths:
        token, source, features = _read(path)
        if source != modality:
            continue
        if token in found:
            raise UserError(f"--keypoints {path}: key frame {token} has another file, too")
        found[token] = features
    if not found:
        raise UserError(f"--keypoints {folder}: none of its {len(paths)} npz files has the source {modality!r}")
    return found


def _read(path: Path) -> tuple[str, str, PlaceFeatures]:
    try:
        with np.load(path, allow_pickle=False) as content:
            values = {name: content[name] for name in content.files if name in _KEYS}
    except (ValueError, OSError, EOFError, KeyError, BadZipFile) as error:
        raise UserError(f"--keypoints {path}: no npz file that can be read ({error})") from error
    missing = sorted(_KEYS - set(values))
    if missing:
        raise UserError(f"--keypoints {path}: has no {missing[0]}; expected {sorted(_KEYS)}")
    places, descriptors = values["places"], values["descriptors"]
    fits = places.ndim == 2 and places.shape[1] == 3 and descriptors.ndim == 2 and len(places) == len(descriptors)
    if not fits or not all(np.issubdtype(v.dtype, np.floating) for v in (places, descriptors)):
        raise UserError(
            f"--keypoints {path}: expected places [K, 3] and descriptors [K, C] of numbers, got {places.shape} and "
            f"{descriptors.shape}"
        )
    if not (np.isfinite(places).all() and np.isfinite(descriptors).all()):
        raise UserError(f"--keypoints {path}: holds numbers that are not finite")
    features = PlaceFeatures(torch.from_numpy(places).float(), torch.from_numpy(descriptors).float())
    return str(values["token"]), str(values["source"]), features
