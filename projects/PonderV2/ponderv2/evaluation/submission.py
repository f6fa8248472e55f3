"""Predicted boxes in the format of a nuScenes submission: global frame, official names, at most 500 a sample."""

from dataclasses import dataclass

import numpy as np
import torch
from mmdet3d.evaluation.metrics import NuScenesMetric
from mmdet3d.evaluation.metrics.nuscenes_metric import lidar_nusc_box_to_global, output_to_nusc_box
from mmdet3d.structures import LiDARInstance3DBoxes
from nuscenes.eval.detection.data_classes import DetectionConfig

from ponderv2.errors import UserError

_MOVING = 0.2
"""Speed in metres a second above which a box counts as moving: mmdet3d's rule, the published one."""

SENSORS = ("camera", "lidar", "radar", "map", "external")
"""The sensors whose use a submission declares, in the order of the official format."""


@dataclass(frozen=True)
class Detections:
    """The predicted boxes of one sample, on the CPU.

    Attributes:
        token: token of the sample.
        boxes: boxes, `[n, 9]` float32 (x, y, z of the bottom centre, l, w, h, yaw, vx, vy) in the sample's LiDAR frame.
        scores: scores of the boxes, `[n]` float32.
        labels: indices of their classes among the class names, `[n]` int64.
    """

    token: str
    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


def read_detections(sample: dict, num_classes: int) -> Detections:
    """Check the prediction of a model for one sample and return it.

    Args:
        sample: a `Det3DDataSample` as a dict, with `token` and `pred_instances_3d`.
        num_classes: number of classes; labels have to be below it.

    Raises:
        ValueError: when there is no prediction, boxes are of another kind, values are not finite, sizes are not
            positive, labels are out of range, or boxes are in an augmented frame; the message names the sample.
    """
    if not isinstance(sample.get("token"), str):
        raise UserError(
            f"PonderNuScenesMetric: sample {sample.get('sample_idx')} has no token; is it among the meta_keys of "
            "PackSensorInputs?"
        )
    where = f"prediction of sample {sample['token']}"
    if "pred_instances_3d" not in sample:
        raise UserError(f"{where}: expected pred_instances_3d, the model gave {sorted(sample)}")
    if not np.allclose(sample.get("lidar_aug", np.eye(4)), np.eye(4), atol=1e-6):
        raise UserError(
            f"{where} is in an augmented LiDAR frame (lidar_aug is not the identity): leave 3-D augmentation out of "
            "the evaluated pipeline, or test with DetectionTTAModel, which maps boxes back"
        )
    predicted = sample["pred_instances_3d"]
    boxes, scores, labels = predicted["bboxes_3d"], predicted["scores_3d"], predicted["labels_3d"]
    if not isinstance(boxes, LiDARInstance3DBoxes) or boxes.box_dim != 9:
        raise UserError(
            f"{where}: expected LiDARInstance3DBoxes with 9 values a box, velocity included, got "
            f"{type(boxes).__name__} with {boxes.tensor.shape[-1]}"
        )
    values, scores, labels = (v.detach().cpu() for v in (boxes.tensor, scores, labels))
    if not len(values) == len(scores) == len(labels):
        raise ValueError(f"{where}: {len(values)} boxes, {len(scores)} scores and {len(labels)} labels")
    for name, value in (("bboxes_3d", values), ("scores_3d", scores[:, None])):
        bad = ~torch.isfinite(value).all(dim=1)
        if bad.any():
            raise UserError(
                f"{where}: {int(bad.sum())} of {len(bad)} {name} are not finite, the first {value[bad][0].tolist()}"
            )
    flat = (values[:, 3:6] <= 0).any(dim=1)
    if flat.any():
        raise UserError(f"{where}: a box has the size {values[flat][0, 3:6].tolist()}, expected positive metres")
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise ValueError(
            f"{where}: labels from {int(labels.min())} to {int(labels.max())}, expected {num_classes} classes"
        )
    return Detections(sample["token"], values.float().numpy(), scores.float().numpy(), labels.long().numpy())


def submission_boxes(
    detections: Detections, frame: dict, classes: tuple[str, ...], config: DetectionConfig
) -> list[dict]:
    """Return the boxes of one sample in the official format, by descending score.

    Boxes beyond the range of their class around the car are left out, and the best `max_boxes_per_sample` of the others
    are kept. Attributes follow from the speed (mmdet3d's rule, the published one).

    Args:
        detections: predicted boxes of the sample.
        frame: entry of the sample in the info file, with `lidar_points.lidar2ego` and `ego2global`.
        classes: names of the labels.
        config: official settings.
    """
    order = np.argsort(-detections.scores, kind="stable")
    boxes = output_to_nusc_box(
        {
            "bboxes_3d": LiDARInstance3DBoxes(torch.from_numpy(detections.boxes[order]), box_dim=9),
            "scores_3d": torch.from_numpy(detections.scores[order]),
            "labels_3d": torch.from_numpy(detections.labels[order]),
        }
    )[0]
    boxes = lidar_nusc_box_to_global(frame, boxes, classes, config)
    return [
        {
            "sample_token": detections.token,
            "translation": box.center.tolist(),
            "size": box.wlh.tolist(),
            "rotation": box.orientation.elements.tolist(),
            "velocity": box.velocity[:2].tolist(),
            "detection_name": classes[box.label],
            "detection_score": float(box.score),
            "attribute_name": attribute_of(classes[box.label], float(np.hypot(*box.velocity[:2]))),
        }
        for box in boxes[: config.max_boxes_per_sample]
    ]


def attribute_of(name: str, speed: float) -> str:
    """Return the likeliest attribute of a class at a speed in m/s, by the rule of mmdet3d's `NuScenesMetric`."""
    if speed > _MOVING:
        if name in ("car", "construction_vehicle", "bus", "truck", "trailer"):
            return "vehicle.moving"
        if name in ("bicycle", "motorcycle"):
            return "cycle.with_rider"
    elif name == "pedestrian":
        return "pedestrian.standing"
    elif name == "bus":
        return "vehicle.stopped"
    return NuScenesMetric.DefaultAttribute[name]
