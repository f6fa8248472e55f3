"""Which recipe a published checkpoint is of, and which of its settings the weights need."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from .published_file import sensors_of

_PRETRAINING = {
    "pull": "pretrain/ponderv2_camera_convnext_s_vs0p1_4xb1_12e_nuscenes.py",
    "splat": "pretrain/ponderv2_camera_convnext_s_splat_vs0p075_4xb1_12e_nuscenes.py",
    "lidar": "pretrain/ponderv2_lidar_voxelnet_vs0p075_4xb4_12e_nuscenes.py",
    "fusion": "pretrain/ponderv2_fusion_convnext_s_vs0p075_4xb1_12e_nuscenes.py",
}
_DETECTION = {
    "pull": "detection/uvtr_camera_convnext_s_vs0p1_4xb1_12e_nuscenes_half.py",
    "splat": "detection/uvtr_camera_convnext_s_vs0p075_4xb1_24e_nuscenes.py",
    "lidar": "detection/uvtr_lidar_voxelnet_vs0p075_4xb4_20e_nuscenes.py",
    "fusion": "detection/uvtr_fusion_convnext_s_vs0p075_4xb2_20e_nuscenes.py",
}
"""Recipes in `configs/` by how the published model fills its volume."""

# UVTR's own LiDAR detector: uvtr_l_v0075_h5.py of its repository.
_PLAIN_HEAD = {
    "model.head.query_init": "embedding",
    "model.head.denoising": None,
    "model.head.iou_weight": 0.0,
    "model.head.decoding": None,
}


@dataclass(frozen=True)
class Fit:
    """A recipe for a published checkpoint.

    Attributes:
        recipe: the recipe, a path in `configs/`.
        placement: settings by which the volume is filled and read as the published code does.
        head: settings by which the recipe's head becomes the published one; none for UniPAD's.
    """

    recipe: str
    placement: dict[str, object] = field(default_factory=dict)
    head: dict[str, object] = field(default_factory=dict)


def fitting_recipe(published: Mapping[str, Tensor]) -> Fit:
    """Find the recipe of published weights by what they are of.

    Recipes that differ in nothing that a weight shows, such as those of the ablations, are not told apart: it is then
    the one of the final model.
    """
    sensors = sensors_of(published)
    if len(sensors) > 1:
        how = "fusion"
    elif sensors == ("lidar",):
        how = "lidar"
    else:
        how = "pull" if "img_neck.lateral_convs.1.conv.weight" in published else "splat"
    renders = any(name.startswith("pts_bbox_head.render_model.") for name in published)
    if renders:
        placement = _grid_placement(how) | {
            "model.head.sampler.placement": "published",
            "model.head.opacity.eps": 1e-5,
        }
        return Fit(_PRETRAINING[how], placement)
    # Sparse convolutions fill no place of their own choice, and the head reads the volume in one way alone.
    placement = {} if how == "lidar" else _grid_placement(how)
    return Fit(_DETECTION[how], placement, {} if how == "pull" else _head(published))


def _grid_placement(how: str) -> dict[str, object]:
    parts = ("camera.", "lidar.") if how == "fusion" else ("",)
    return {f"model.encoder.{part}grid.placement": "published" for part in parts}


def _head(published: Mapping[str, Tensor]) -> dict[str, object]:
    if "pts_bbox_head.reference_points.weight" in published:
        return {}
    layers = {name.split(".")[2] for name in published if name.startswith("pts_bbox_head.cls_branches.")}
    return _PLAIN_HEAD | {"model.head.num_layers": len(layers)}
