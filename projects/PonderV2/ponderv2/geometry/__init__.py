"""Projection, rays, augmentation matrices and the box convention, in torch and numpy alone.

Calibration and augmentation are composed here, once, in float64 (`compose_rig`).
"""

from .augmentation import (
    flip_matrix,
    image_affine,
    image_crop,
    image_flip,
    image_resize,
    image_rotate,
    rotation_z,
    scaling_matrix,
    translation_matrix,
)
from .boxes import box_corners
from .projection import compose_rig, project, rays_through_pixels, transform_points
from .sampling import sample_image
from .visibility import visible_returns

__all__ = [
    "box_corners",
    "compose_rig",
    "flip_matrix",
    "image_affine",
    "image_crop",
    "image_flip",
    "image_resize",
    "image_rotate",
    "project",
    "rays_through_pixels",
    "rotation_z",
    "sample_image",
    "scaling_matrix",
    "transform_points",
    "translation_matrix",
    "visible_returns",
]
