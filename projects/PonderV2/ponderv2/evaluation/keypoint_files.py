"""Files of key points: one npz for each sample, without pickles."""

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from ponderv2.atomic_files import replacing
from ponderv2.errors import UserError
from ponderv2.shapes import Float

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
        lidar2global: pose of the LiDAR.
        point_cloud_range: box (x, y, z min, then max) that key points are in, metres.
    """

    places: Float[np.ndarray, "k 3"]
    descriptors: Float[np.ndarray, "k c"]
    scores: Float[np.ndarray, "k"]
    token: str
    source: str
    lidar2global: Float[np.ndarray, "4 4"]
    point_cloud_range: Float[np.ndarray, "6"]


def write_keypoints(path: Path, points: SampleKeypoints) -> None:
    """Write the key points of a sample, replacing the file in one step."""
    arrays = {name: getattr(points, name).astype(np.float32) for name in SHAPES if name != "lidar2global"}
    arrays["lidar2global"] = points.lidar2global.astype(np.float64)
    texts = {"token": np.array(points.token), "source": np.array(points.source)}
    with replacing(path) as unfinished, unfinished.open("wb") as file:
        np.savez_compressed(file, **arrays, **texts)


def read_keypoints(path: Path) -> SampleKeypoints:
    """Read a file of `write_keypoints`; nothing in it is unpickled.

    Raises:
        UserError: the file is missing or damaged, or has other keys or shapes.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in (*SHAPES, "token", "source")}
    except FileNotFoundError as error:
        raise UserError(f"key points {path}: no such file; tools/export_keypoints.py writes it") from error
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise UserError(f"key points {path}: cannot be read ({error}); export them again") from error
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
    return SampleKeypoints(
        **{name: found[name] for name in SHAPES}, token=str(found["token"]), source=str(found["source"])
    )
