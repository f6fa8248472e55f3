"""Augmentation of the scene: points, boxes and calibration move together."""

import math

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from ponderv2.geometry import flip_matrix, rotation_z, scaling_matrix, transform_points, translation_matrix
from ponderv2.registry import TRANSFORMS


@TRANSFORMS.register_module()
class UnifiedRotScaleTransFlip(BaseTransform):
    """Rotate, scale, translate and flip the scene: points, boxes and `lidar_aug` together.

    The steps have the published order (UniPAD's "UnifiedRotScaleTransFlip"); a positive angle turns
    counter-clockwise, which is mmdet3d 1.x's way and not that of the published code. Cameras follow through
    `lidar_aug`. Published sizes are: LiDAR pre-training 0.3925, 0.95–1.05; camera fine-tuning the same;
    LiDAR and fusion fine-tuning 0.785, 0.9–1.1, 0.5 m, flips with probability 0.5; LiDAR segmentation (Pointcept's
    SpUNet baseline) π with probability 0.5, 0.9–1.1, flips with probability 0.5.

    Args:
        rotation: (low, high) of the angle in radians.
        scale: (low, high) of the factor.
        translation_std: standard deviations (x, y, z) of the offset in metres.
        flip_x: probability of negating x.
        flip_y: probability of negating y.
        rotation_prob: probability that the scene is turned at all; 1, published for segmentation 0.5.

    Raises:
        ValueError: a factor may be zero or negative.

    Keys `pcd_rotation_angle`, `pcd_scale_factor`, `pcd_trans`, `pcd_flip` that are already there are used
    instead of drawing (test-time augmentation), and are set otherwise.
    """

    def __init__(
        self,
        rotation: tuple[float, float] = (0.0, 0.0),
        scale: tuple[float, float] = (1.0, 1.0),
        translation_std: tuple[float, float, float] = (0.0, 0.0, 0.0),
        flip_x: float = 0.0,
        flip_y: float = 0.0,
        rotation_prob: float = 1.0,
    ) -> None:
        self.rotation, self.scale = tuple(rotation), tuple(scale)
        self.translation_std = tuple(translation_std)
        self.flip_x, self.flip_y = flip_x, flip_y
        self.rotation_prob = rotation_prob
        if self.scale[0] <= 0:
            raise ValueError(f"scale: expected positive factors, got {self.scale}")

    def transform(self, results: dict) -> dict:
        # Always the same number of draws, so that presetting one value leaves the others alone.
        angle = np.random.uniform(*self.rotation)
        factor = np.random.uniform(*self.scale)
        offset = np.random.normal(0.0, self.translation_std)
        flips = np.random.rand(2) < (self.flip_x, self.flip_y)
        if self.rotation_prob < 1 and np.random.rand() >= self.rotation_prob:
            angle = 0.0
        angle = float(results.setdefault("pcd_rotation_angle", angle))
        factor = float(results.setdefault("pcd_scale_factor", factor))
        offset = tuple(float(v) for v in results.setdefault("pcd_trans", offset))
        flips = tuple(bool(v) for v in results.setdefault("pcd_flip", flips))

        matrix = flip_matrix(*flips) @ translation_matrix(offset) @ scaling_matrix(factor) @ rotation_z(angle)
        results["lidar_aug"] = matrix.numpy() @ results["lidar_aug"]
        if "points" in results:
            points = results["points"].tensor
            points[:, :3] = transform_points(matrix, points[:, :3].double()).to(points.dtype)
        if "gt_bboxes_3d" in results:
            _move_boxes(results["gt_bboxes_3d"], angle, factor, offset, flips)
        return results


def _move_boxes(boxes, angle: float, factor: float, offset: tuple[float, ...], flips: tuple[bool, bool]) -> None:
    """Move `LiDARInstance3DBoxes`, velocities included, in place."""
    boxes.rotate(angle)
    boxes.scale(factor)
    boxes.translate(torch.tensor(offset))
    if flips[0]:
        # mmdet3d names a flip after the axis it mirrors along: "vertical" negates x.
        boxes.flip("vertical")
    if flips[1]:
        boxes.flip("horizontal")
    boxes.tensor[:, 6] = (boxes.tensor[:, 6] + math.pi) % (2 * math.pi) - math.pi
