"""This module tells what each pixel of a picture shows, in the categories of lidarseg."""

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from synthetic_nuscenes.geometry.materials import MATERIALS
from synthetic_nuscenes.moment import NOTHING, STATIC, WorldHits
from synthetic_nuscenes.output.tables import CATEGORIES
from synthetic_nuscenes.world import World

from .camera import pixel_rays
from .rig import Camera

SKY = 255
"""Label of pixels that show nothing but the sky."""

_STATIC_LABELS = np.array([CATEGORIES.index(material.label) for material in MATERIALS], np.uint8)


def label_pixels(world: World, camera: Camera, time: float, width: int, height: int) -> UInt8[ndarray, "h w"]:
    """Return the category of lidarseg of what is at the middle of each pixel, and `SKY` where nothing is.

    It is what `take_picture` shows of a camera without a rolling shutter at the same `time` (s); blur, glare and rain
    hide things in the picture and not in the labels.

    Args:
        width: of the image, pixels.
        height: of the image, pixels.
    """
    pose = world.ego_poses(np.array([time])) @ camera.to_ego()
    v, u = np.mgrid[:height, :width].astype(np.float64)
    pixels = np.stack([u.ravel(), v.ravel()], axis=1)
    origins, directions = pixel_rays(pose, camera.intrinsic(width, height), pixels)
    hits = world.at(time).first_hits(origins, directions)
    solid = np.flatnonzero(hits.body != NOTHING)
    surfaces = world.surfaces(
        WorldHits(*(of_all[solid] for of_all in hits)), origins[solid], directions[solid], np.full(len(solid), time)
    )
    body = hits.body[solid]
    found = _STATIC_LABELS[surfaces.material]
    kinds = np.array([CATEGORIES.index(actor.kind.category) for actor in world.actors], np.uint8)
    found[body > STATIC] = kinds[body[body > STATIC] - 1]
    labels = np.full(height * width, SKY, np.uint8)
    labels[solid] = found
    return labels.reshape(height, width)
