"""From what the queries say to boxes with scores."""

from collections.abc import Mapping, Sequence

from mmdet3d.datasets import NuScenesDataset
from mmengine.structures import InstanceData
from torch import Tensor

from ponderv2.shapes import Float, Int

from .box_code import decode_boxes, lidar_boxes
from .nms import classwise_nms, label_thresholds


class BoxDecoder:
    """Choose the best pairs of query and class: one-to-one matching leaves little else to suppress (DETR3D, UVTR).

    Args:
        max_boxes: kept a sample, published 300.
        post_center_range: (x, y, z min, then max) in metres; boxes with a gravity centre outside are dropped.
        score_threshold: drop boxes scored lower; published None.
        use_iou: score = √class · √fit with the predicted IoU (published for LiDAR and fusion, not for cameras).
        nms: thresholds of `classwise_nms` by class name, or one for all; None keeps all boxes.
        classes: names of the labels, for `nms`.
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
            label_thresholds(nms, classes)  # a wrong name is told now, not after the first epoch
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
        """Boxes of one sample by descending score: `bboxes_3d`, `scores_3d`, `labels_3d`.

        Args:
            logits: of the classes.
            codes: of the boxes, see `box_code`.
            ious: predicted 2·IoU − 1, for `use_iou`.

        Raises:
            ValueError: when `use_iou` is on and there are no predicted overlaps.
        """
        scores = logits.float().sigmoid()
        if self.use_iou:
            if ious is None:
                raise ValueError("BoxDecoder: use_iou needs predicted overlaps; give the head an iou_weight above 0")
            scores = iou_score(scores, ious.float())
        scores, queries, labels = best_pairs(scores, self.max_boxes)
        boxes = decode_boxes(codes.float()[queries])
        lower, upper = boxes.new_tensor(self.post_center_range).split(3)
        kept = ((boxes[:, :3] >= lower) & (boxes[:, :3] <= upper)).all(dim=1)
        if self.score_threshold is not None:
            kept &= scores >= self.score_threshold
        found = InstanceData(bboxes_3d=lidar_boxes(boxes[kept]), scores_3d=scores[kept], labels_3d=labels[kept])
        if self.nms is None:
            return found
        return found[classwise_nms(found.bboxes_3d, found.scores_3d, found.labels_3d, self.nms, self.classes)]


def iou_score(scores: Float[Tensor, "q k"], ious: Float[Tensor, "q"]) -> Float[Tensor, "q k"]:
    """Geometric mean of class score and predicted overlap, the latter given as 2·IoU − 1."""
    return scores.sqrt() * ((ious + 1) / 2).clamp(0, 1).sqrt()[:, None]


def best_pairs(
    scores: Float[Tensor, "q k"], most: int
) -> tuple[Float[Tensor, "n"], Int[Tensor, "n"], Int[Tensor, "n"]]:
    """The highest scores of all queries and classes, with their queries and labels; a query may come up repeatedly."""
    best, place = scores.flatten().topk(min(most, scores.numel()))
    return best, place // scores.shape[1], place % scores.shape[1]
