"""Files of key points: one npz for each sample, without pickles."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ponderv2.atomic_files import replacing
from ponderv2.errors import UserError
from ponderv2.npz_files import read_npz
from ponderv2.shapes import Float

_TEXTS = ("token", "source", "model")
_SOURCES = ("lidar", "image", "fusion")
_LIMIT = 1 << 26
"""Bytes of a file and of its arrays; 512 key points with descriptors of 1024 channels take 2 MB."""
SHAPES = {
    "places": (None, 3),
    "descriptors": (None, None),
    "scores": (None,),
    "lidar2global": (4, 4),
    "point_cloud_range": (6,),
}


@dataclass(frozen=True)
class SampleKeypoints:
    """The key points of one sample, as docs/keypoints.md describes the file.

    Attributes:
        places: metres in the LiDAR frame.
        descriptors: of unit length.
        scores: falling, 0 to 1.
        token: of the sample.
        source: "image", "lidar" or "fusion".
        model: hash of the model, as indices of retrieval have it.
        lidar2global: pose of the LiDAR.
        point_cloud_range: box (x, y, z min, then max) that key points are in, metres.
    """

    places: Float[np.ndarray, "k 3"]
    descriptors: Float[np.ndarray, "k c"]
    scores: Float[np.ndarray, "k"]
    token: str
    source: str
    model: str
    lidar2global: Float[np.ndarray, "4 4"]
    point_cloud_range: Float[np.ndarray, "6"]


def write_keypoints(path: Path, points: SampleKeypoints) -> None:
    """Write the key points of a sample, replacing the file in one step."""
    arrays = {name: getattr(points, name).astype(np.float32) for name in SHAPES if name != "lidar2global"}
    arrays["lidar2global"] = points.lidar2global.astype(np.float64)
    texts = {name: np.array(getattr(points, name)) for name in _TEXTS}
    with replacing(path) as unfinished, unfinished.open("wb") as file:
        np.savez_compressed(file, **arrays, **texts)


def read_keypoints(path: Path) -> SampleKeypoints:
    """Read a file of `write_keypoints`; nothing in it is unpickled.

    Raises:
        UserError: the file is missing or damaged, or has other keys, shapes or values than `write_keypoints` gives it.
    """
    try:
        found = read_npz(path, (*SHAPES, *_TEXTS), _LIMIT)
    except FileNotFoundError as error:
        raise UserError(f"key points {path}: no such file; tools/export_keypoints.py writes it") from error
    except UserError as error:
        raise UserError(f"key points {error}; export them again") from error
    for name, shape in SHAPES.items():
        array = found[name]
        fits = array.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, array.shape, strict=False))
        if not fits or array.dtype.kind != "f" or not np.isfinite(array).all():
            raise UserError(
                f"key points {path}: {name}: expected finite numbers of shape {shape}, got {array.dtype} {array.shape}"
            )
    counts = {len(found[name]) for name in ("places", "descriptors", "scores")}
    if len(counts) != 1:
        raise UserError(f"key points {path}: places, descriptors and scores differ in number: {sorted(counts)}")
    for name in _TEXTS:
        if found[name].dtype.kind != "U" or found[name].ndim:
            raise UserError(f"key points {path}: {name}: expected a text, got {found[name].dtype} {found[name].shape}")
    points = SampleKeypoints(**{n: found[n] for n in SHAPES}, **{name: str(found[name]) for name in _TEXTS})
    _check_values(points, path)
    return points


def _check_values(points: SampleKeypoints, path: Path) -> None:
    if points.source not in _SOURCES:
        raise UserError(f"key points {path}: source: expected one of {', '.join(_SOURCES)}, got {points.source!r}")
    if not ((points.scores >= 0) & (points.scores <= 1)).all():
        low, high = points.scores.min(), points.scores.max()
        raise UserError(f"key points {path}: scores: expected 0 to 1, got {low:g} to {high:g}")
    turn = points.lidar2global[:3, :3].astype(np.float64)
    rigid = np.allclose(turn @ turn.T, np.eye(3), atol=1e-3) and np.linalg.det(turn) > 0
    if not rigid or not np.array_equal(points.lidar2global[3], (0, 0, 0, 1)):
        raise UserError(f"key points {path}: lidar2global: expected a rotation and a shift, got another matrix")
    if not (points.point_cloud_range[:3] < points.point_cloud_range[3:]).all():
        raise UserError(f"key points {path}: point_cloud_range: expected x, y, z min below max")
