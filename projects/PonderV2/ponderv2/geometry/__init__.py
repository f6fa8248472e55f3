"""Projection, rays of pixels, interpolation, augmentation matrices and the box convention, in torch and numpy alone.

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
from .car_signals import CAN_BUS_SIZE, signals_since
from .image_gathering import gather_image_features, sample_maps
from .interpolation import sample_colors, sample_image, sample_volume
from .pixel_rays import lattice_rays, rays_through_pixels
from .point_suppression import suppress_points
from .points_in_boxes import points_in_box, to_box_frame
from .projection import MIN_DEPTH, compose_rig, in_image, project, transform_points
from .row_sums import add_to_rows, sum_rows
from .visibility import nearest_per_cell, visible_returns, visible_rows
from .volume_motion import frame_motion, move_volume

__all__ = [
    "CAN_BUS_SIZE",
    "MIN_DEPTH",
    "add_to_rows",
    "box_corners",
    "compose_rig",
    "flip_matrix",
    "frame_motion",
    "gather_image_features",
    "image_affine",
    "image_crop",
    "image_flip",
    "image_resize",
    "image_rotate",
    "in_image",
    "lattice_rays",
    "move_volume",
    "nearest_per_cell",
    "points_in_box",
    "project",
    "rays_through_pixels",
    "rotation_z",
    "sample_colors",
    "sample_image",
    "sample_maps",
    "sample_volume",
    "scaling_matrix",
    "signals_since",
    "sum_rows",
    "suppress_points",
    "to_box_frame",
    "transform_points",
    "translation_matrix",
    "visible_returns",
    "visible_rows",
]
