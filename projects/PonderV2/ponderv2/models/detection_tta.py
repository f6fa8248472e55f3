"""Test-time augmentation of detection: predict in several augmented frames, map the boxes back and merge them."""

from collections.abc import Mapping, Sequence

import torch
from mmdet3d.datasets import NuScenesDataset
from mmdet3d.structures import Det3DDataSample, LiDARInstance3DBoxes
from mmengine.model import BaseTTAModel
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ponderv2.errors import UserError
from ponderv2.heads import classwise_nms
from ponderv2.registry import MODELS
from ponderv2.shapes import Float

AUGMENTATION_KEYS = ("lidar_aug", "pcd_rotation_angle", "pcd_scale_factor", "pcd_trans", "pcd_flip")
"""Meta information of a pass that is not true of the merged sample."""


@MODELS.register_module()
class DetectionTTAModel(BaseTTAModel):
    """Runs a detector on every augmentation of a sample and merges the predictions.

    The boxes of each pass are mapped back with the inverse of its `lidar_aug`; rotated non-maximum suppression within
    each class then keeps the best boxes of all passes. The published passes (UniPAD's fusion test submission, 74.8 NDS
    instead of 73.9) are the 12 products of scales 1, 1.06 and 0.96 with both flips, merged at an overlap of 0.1 to 500
    boxes. `configs/_base_/tta_detection.py` has their pipeline, and `ponderv2.engine.with_tta` puts it into a recipe.

    Args:
        module: the detector, or its config.
        nms: thresholds of `ponderv2.heads.classwise_nms`.
        max_boxes: how many boxes of a sample are kept at most; those with the highest scores are.
        classes: names of the labels.
    """

    def __init__(
        self,
        module: dict | nn.Module,
        nms: Mapping[str, float] | float = 0.1,
        max_boxes: int = 500,
        classes: Sequence[str] = NuScenesDataset.METAINFO["classes"],
    ) -> None:
        super().__init__(module)
        self.nms, self.max_boxes, self.classes = nms, max_boxes, tuple(classes)

    @torch.no_grad()
    def merge_preds(self, data_samples_list: list[tuple[Det3DDataSample, ...]]) -> list[Det3DDataSample]:
        """Merge the passes of each sample into one, with `pred_instances_3d` in the LiDAR frame before augmentation.

        Raises:
            ValueError: when a sample has no `lidar_aug`.
        """
        return [self._merge(passes) for passes in data_samples_list]

    def _merge(self, passes: tuple[Det3DDataSample, ...]) -> Det3DDataSample:
        for sample in passes:
            if "lidar_aug" not in sample:
                raise UserError(
                    f"DetectionTTAModel: sample {sample.get('token')} has no lidar_aug; is it among the meta_keys of "
                    "PackSensorInputs?"
                )
        predictions = [sample.pred_instances_3d for sample in passes]
        boxes = LiDARInstance3DBoxes.cat(
            [undo_augmentation(s.pred_instances_3d.bboxes_3d, torch.as_tensor(s.lidar_aug)) for s in passes]
        )
        scores, labels = (torch.cat([p[name] for p in predictions]) for name in ("scores_3d", "labels_3d"))
        kept = classwise_nms(boxes, scores, labels, self.nms, self.classes)[: self.max_boxes]
        merged = Det3DDataSample(metainfo={k: v for k, v in passes[0].metainfo.items() if k not in AUGMENTATION_KEYS})
        merged.pred_instances_3d = InstanceData(bboxes_3d=boxes[kept], scores_3d=scores[kept], labels_3d=labels[kept])
        return merged


def undo_augmentation(boxes: LiDARInstance3DBoxes, lidar_aug: Float[Tensor, "4 4"]) -> LiDARInstance3DBoxes:
    """Map boxes of the augmented frame exactly to the frame before: centres, sizes, yaws and, if there, velocities.

    The matrix may be any product of rotations about z, positive scales, shifts and flips in x or y, in any order. A yaw
    is mapped as a direction, so flips need no rule of their own.

    Args:
        boxes: boxes in the augmented frame, `[n, 7]` or, with velocities, `[n, 9]`.
        lidar_aug: matrix with augmented = lidar_aug @ original, metres.

    Raises:
        ValueError: when the matrix is no such product.
    """
    forward = lidar_aug.to(boxes.tensor.device, torch.float64)
    linear = forward[:3, :3]
    scale = float(linear[2, 2])
    square = torch.diag(torch.full((3,), scale**2, dtype=torch.float64, device=forward.device))
    upright = torch.stack([linear[2, :2], linear[:2, 2]])
    if scale <= 0 or not torch.allclose(linear.T @ linear, square, atol=1e-6) or not (upright.abs() < 1e-6).all():
        raise ValueError(
            f"lidar_aug {forward.tolist()} is no product of rotations about z, positive scales, shifts and flips in x "
            "or y"
        )
    inverse = torch.linalg.inv(forward)
    plane = inverse[:2, :2]
    values = boxes.tensor.double()
    center = boxes.gravity_center.double() @ inverse[:3, :3].T + inverse[:3, 3]
    heading = torch.stack([values[:, 6].cos(), values[:, 6].sin()], dim=1) @ plane.T
    yaw = torch.atan2(heading[:, 1], heading[:, 0])
    parts = [center, values[:, 3:6] / scale, yaw[:, None]]
    if boxes.box_dim == 9:
        parts.append(values[:, 7:9] @ plane.T)
    back = torch.cat(parts, dim=1).to(boxes.tensor.dtype)
    return LiDARInstance3DBoxes(back, box_dim=boxes.box_dim, origin=(0.5, 0.5, 0.5))
