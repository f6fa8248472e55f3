"""Test-time augmentation of detection: many augmented passes, boxes mapped back and merged."""

from collections.abc import Mapping, Sequence

import torch
from mmdet3d.datasets import NuScenesDataset
from mmdet3d.structures import Det3DDataSample, LiDARInstance3DBoxes
from mmengine.model import BaseTTAModel
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ponderv2.heads import classwise_nms
from ponderv2.registry import MODELS
from ponderv2.shapes import Float

_OF_ONE_PASS = ("lidar_aug", "pcd_rotation_angle", "pcd_scale_factor", "pcd_trans", "pcd_flip")


@MODELS.register_module()
class DetectionTTAModel(BaseTTAModel):
    """Runs a detector on every augmentation of a sample and merges what it finds.

    Boxes of each pass are mapped back through the inverse of the `lidar_aug` it was made with, all passes are put
    together, and rotated non-maximum suppression a class keeps the best. The published set (UniPAD's fusion test
    submission, 74.8 NDS instead of 73.9) is scales 1, 1.06 and 0.96 times both flips, 12 passes, with an overlap of
    0.1 and 500 boxes; see `configs/_base_/tta_detection.py` for the pipeline and `ponderv2.engine.test_time_augmentation.with_tta` for
    how a recipe gets it.

    Args:
        module: the detector, or its config.
        nms: thresholds of `ponderv2.heads.classwise_nms`.
        max_boxes: of a sample, by score.
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
        """One sample for all passes of it, with `pred_instances_3d` in the LiDAR frame that was not augmented.

        Raises:
            ValueError: when a sample does not say how it was augmented.
        """
        return [self._merge(passes) for passes in data_samples_list]

    def _merge(self, passes: tuple[Det3DDataSample, ...]) -> Det3DDataSample:
        for sample in passes:
            if "lidar_aug" not in sample:
                raise ValueError(
                    f"DetectionTTAModel: sample {sample.get('token')} has no lidar_aug; is it among the meta_keys of "
                    "PackSensorInputs?"
                )
        found = [sample.pred_instances_3d for sample in passes]
        boxes = LiDARInstance3DBoxes.cat(
            [undo_augmentation(f.bboxes_3d, torch.as_tensor(s.lidar_aug)) for f, s in zip(found, passes, strict=True)]
        )
        scores, labels = (torch.cat([f[name] for f in found]) for name in ("scores_3d", "labels_3d"))
        kept = classwise_nms(boxes, scores, labels, self.nms, self.classes)[: self.max_boxes]
        merged = Det3DDataSample(metainfo={k: v for k, v in passes[0].metainfo.items() if k not in _OF_ONE_PASS})
        merged.pred_instances_3d = InstanceData(bboxes_3d=boxes[kept], scores_3d=scores[kept], labels_3d=labels[kept])
        return merged


def undo_augmentation(boxes: LiDARInstance3DBoxes, lidar_aug: Float[Tensor, "4 4"]) -> LiDARInstance3DBoxes:
    """Boxes of the augmented frame in the frame before, exactly: centres, sizes, yaw and, where given, velocity.

    Works for any product of turns about z, scales, shifts and flips in x or y, in whatever order it was made: a
    heading is mapped as the direction it is, so a flip needs no rule of its own.

    Args:
        boxes: `[n, 7]` or `[n, 9]`.
        lidar_aug: augmented = lidar_aug @ original, metres.

    Raises:
        ValueError: when the matrix is not such a product.
    """
    forward = lidar_aug.to(boxes.tensor.device, torch.float64)
    linear = forward[:3, :3]
    scale = float(linear[2, 2])
    square = torch.diag(torch.full((3,), scale**2, dtype=torch.float64, device=forward.device))
    upright = torch.stack([linear[2, :2], linear[:2, 2]])
    if scale <= 0 or not torch.allclose(linear.T @ linear, square, atol=1e-6) or not (upright.abs() < 1e-6).all():
        raise ValueError(
            f"lidar_aug {forward.tolist()} is no product of turns about z, positive scales, shifts and flips in x or y"
        )
    inverse = torch.linalg.inv(forward)
    plane = inverse[:2, :2]
    values = boxes.tensor.double()
    centre = boxes.gravity_center.double() @ inverse[:3, :3].T + inverse[:3, 3]
    heading = torch.stack([values[:, 6].cos(), values[:, 6].sin()], dim=1) @ plane.T
    yaw = torch.atan2(heading[:, 1], heading[:, 0])
    parts = [centre, values[:, 3:6] / scale, yaw[:, None]]
    if boxes.box_dim == 9:
        parts.append(values[:, 7:9] @ plane.T)
    back = torch.cat(parts, dim=1).to(boxes.tensor.dtype)
    return LiDARInstance3DBoxes(back, box_dim=boxes.box_dim, origin=(0.5, 0.5, 0.5))
