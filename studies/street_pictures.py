"""Labeled pictures of synthetic towns, for the street teacher: what a pixel shows is known from the ray caster."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from ponderv2.atomic_files import replacing
from ponderv2.datasets import LIDARSEG_CLASSES
from ponderv2.datasets.lidarseg_classes import class_labels
from ponderv2.errors import UserError
from ponderv2.npz_files import read_npz
from synthetic_nuscenes import CameraEffects, build_world, take_picture
from synthetic_nuscenes.build import place_of
from synthetic_nuscenes.seeds import Purpose, generator
from synthetic_nuscenes.sensors.pixel_labels import SKY, label_pixels
from synthetic_nuscenes.sensors.rig import CAMERAS

CLASSES = (*LIDARSEG_CLASSES, "sky")
SIZE = (225, 400)
"""Height and width of the pictures, those of streets-v1."""
_SECONDS = 8.0
_JPEG = 90


def towns(seed: int, count: int) -> list[tuple[int, int]]:
    """Return (seed, scene) of `count` drives in towns of their own; every fifth drive of a seed is in a town again."""
    scenes = [scene for scene in range(2 * count + 5) if place_of(scene) == scene]
    return [(seed, scene) for scene in scenes[:count]]


def labeled_pictures(folder: Path, seed: int, scene: int, moments: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures of all cameras at some moments of a drive, and the classes of their pixels.

    They are taken once and kept in a file of `folder`.

    Args:
        folder: folder of the files, one a drive.
        seed: seed of the town.
        scene: number of the drive.
        moments: number of moments, spread over eight seconds.

    Returns:
        Pictures `[V, H, W, 3]` uint8 RGB, as they come out of a JPEG, and labels `[V, H, W]` int64: places in
        `CLASSES`, or -1 where a pixel does not count.

    Raises:
        UserError: the file is damaged or holds something else.
    """
    path = folder / f"town_{seed}_{scene:03d}_{moments}_{SIZE[1]}x{SIZE[0]}.npz"
    if not path.is_file():
        _take(path, seed, scene, moments)
    found = read_npz(path, ["pictures", "labels"])
    pictures, raw = found["pictures"], found["labels"]
    shape = (moments * len(CAMERAS), *SIZE)
    if (pictures.shape, raw.shape) != ((*shape, 3), shape) or {pictures.dtype, raw.dtype} != {np.dtype(np.uint8)}:
        raise UserError(
            f"{path}: expected pictures and labels of shape {shape} in uint8, got {pictures.dtype} {pictures.shape} "
            f"and {raw.dtype} {raw.shape}; delete it to have them taken again"
        )
    sky = raw == SKY
    try:
        labels = class_labels(np.where(sky, 0, raw).ravel()).reshape(shape)
    except ValueError as error:
        raise UserError(f"{path}: labels: {error}; delete it to have the pictures taken again") from error
    labels[sky] = CLASSES.index("sky")
    return pictures, labels


def _take(path: Path, seed: int, scene: int, moments: int) -> None:
    world = build_world(seed, scene, -0.6, _SECONDS)
    pictures, labels = [], []
    for k in range(moments):
        for number, camera in enumerate(CAMERAS):
            time = _SECONDS * k / moments + camera.delay
            rng = generator(Purpose.CAMERA, seed, scene, number, k)
            picture = take_picture(world, camera, time, SIZE[1], SIZE[0], effects=CameraEffects(), rng=rng)
            pictures.append(_through_jpeg(picture.image))
            labels.append(label_pixels(world, camera, time, SIZE[1], SIZE[0]))
    with replacing(path) as unfinished, unfinished.open("wb") as file:
        np.savez_compressed(file, pictures=np.stack(pictures), labels=np.stack(labels))


def _through_jpeg(image: np.ndarray) -> np.ndarray:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "JPEG", quality=_JPEG)
    return np.array(Image.open(content))
