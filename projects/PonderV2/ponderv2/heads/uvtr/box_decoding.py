"""From the predictions of the queries to boxes with scores."""

from collections.abc import Mapping, Sequence

from mmdet3d.datasets import NuScenesDataset
from mmengine.structures import InstanceData
from torch import Tensor

from ponderv2.shapes import Float, Int
from ponderv2.structures import constant

from .box_code import decode_boxes, lidar_boxes
from .nms import classwise_nms, label_thresholds


class BoxDecoder:
    """Turns the pairs of query and class that score best into boxes (DETR3D, UVTR).

    The queries were matched one to one with boxes in training, so there are few duplicates to suppress.

    Args:
        max_boxes: how many boxes of a sample are kept at most; published 300.
        post_center_range: (x, y, z min, then max) in metres; boxes with a gravity centre outside are dropped.
        score_threshold: boxes with a lower score are dropped; None, as published, drops none.
        use_iou: whether the score is the geometric mean of the class score and the predicted IoU (published for LiDAR
            and fusion, not for cameras) instead of the class score alone. As published, the class score alone chooses
            the boxes that are kept, and the mean only orders them.
        nms: thresholds of `classwise_nms`, one for each class name or one for all; None keeps all boxes.
        classes: names of the labels, which `nms` refers to.

    Raises:
        ValueError: when the range has not six numbers, or `nms` names no class.
    """

    def __init__(
        self,
        max_boxes: int = 300,
        post_center_range: Sequence[float] = (-61.2, -61.2, -10.0, 61.2, 61.2, 10.0),
        score_threshold: float | None = None,
        use_iou: bool = False,
        nms: Mapping[str, float] | float | None = None,
        classes: Sequence[str] = NuScenesDataset.METAINFO["classes"],
    ) -> None:
        if len(post_center_range) != 6:
            raise ValueError(
                f"post_center_range: expected 6 numbers (x, y, z min, then max), got {tuple(post_center_range)}"
            )
        if nms is not None:
            label_thresholds(nms, classes)  # raises for a wrong name now, not after the first epoch
        self.max_boxes = max_boxes
        self.post_center_range = tuple(post_center_range)
        self.score_threshold = score_threshold
        self.use_iou = use_iou
        self.nms = nms
        self.classes = tuple(classes)

    def __call__(
        self,
        logits: Float[Tensor, "q k"],
        codes: Float[Tensor, "q 10"],
        ious: Float[Tensor, "q"] | None = None,
    ) -> InstanceData:
        """Return the boxes of one sample by descending score: `bboxes_3d`, `scores_3d`, `labels_3d`.

        Args:
            logits: logits of the classes.
            codes: codes of the boxes, see `box_code`.
            ious: predicted 2·IoU − 1 of the boxes, which `use_iou` needs.

        Raises:
            ValueError: when `use_iou` is set and `ious` is None.
        """
        scores, queries, labels = best_pairs(logits.float().sigmoid(), self.max_boxes)
        if self.use_iou:
            if ious is None:
                raise ValueError("BoxDecoder: use_iou needs predicted overlaps; give the head an iou_weight above 0")
            scores, order = iou_score(scores, ious.float()[queries]).sort(descending=True, stable=True)
            queries, labels = queries[order], labels[order]
        boxes = decode_boxes(codes.float()[queries])
        lower, upper = constant(self.post_center_range, boxes.device, boxes.dtype).split(3)
        kept = ((boxes[:, :3] >= lower) & (boxes[:, :3] <= upper)).all(dim=1)
        if self.score_threshold is not None:
            kept &= scores >= self.score_threshold
        detections = InstanceData(bboxes_3d=lidar_boxes(boxes[kept]), scores_3d=scores[kept], labels_3d=labels[kept])
        if self.nms is None:
            return detections
        kept = classwise_nms(detections.bboxes_3d, detections.scores_3d, detections.labels_3d, self.nms, self.classes)
        return detections[kept]


def iou_score(scores: Float[Tensor, "n"], ious: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Return the geometric mean of class scores and predicted overlaps; `ious` are predictions of 2·IoU − 1."""
    return scores.sqrt() * ((ious + 1) / 2).clamp(0, 1).sqrt()


def best_pairs(
    scores: Float[Tensor, "q k"], most: int
) -> tuple[Float[Tensor, "n"], Int[Tensor, "n"], Int[Tensor, "n"]]:
    """Return the highest scores among all pairs of query and class, with their queries and labels.

    A query is returned once for each of its classes that is among the highest.

    Args:
        scores: score of each query for each class.
        most: how many pairs are returned at most.
    """
    best, index = scores.flatten().topk(min(most, scores.numel()))
    return best, index // scores.shape[1], index % scores.shape[1]
