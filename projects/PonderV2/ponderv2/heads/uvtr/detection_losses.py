"""The targets of the queries, and the losses of their predictions."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmdet.models.losses import FocalLoss
from mmdet.utils import reduce_mean
from torch import Tensor, nn

from ponderv2.shapes import Float, Int

from .box_code import CODE_SIZE, decode_boxes
from .rotated_iou import paired_iou_3d
from .uvtr_decoder import QueryPredictions


@dataclass(frozen=True)
class QueryTargets:
    """Targets of the queries after each decoder layer; `p` of the queries have a box.

    Attributes:
        labels: target class of each query; the number of classes for background, -1 for a query without a class loss.
        sample: index of the sample of each query that has a box; the same in all layers.
        query: index of that query.
        codes: code of its box; an unknown velocity is NaN.
        class_count: number that the sum of the class loss is divided by, of this rank.
    """

    labels: Int[Tensor, "l b q"]
    sample: Int[Tensor, "p"]
    query: Int[Tensor, "l p"]
    codes: Float[Tensor, "l p 10"]
    class_count: float


@dataclass(frozen=True)
class LayerSums:
    """A loss summed over the queries of each decoder layer, and the number to divide it by.

    Attributes:
        total: weighted sum of the loss.
        count: number of queries or targets that it is averaged over.
    """

    total: Float[Tensor, "l"]
    count: Float[Tensor, "l"]


class DetectionLoss(nn.Module):
    """Focal loss of the classes, L1 loss of the box codes, and L1 loss of the predicted overlaps.

    The sums depend on every prediction even when no query has a box, so all parameters always get a gradient.

    Args:
        cls_weight: factor of the focal loss; published 2.0.
        bbox_weight: factor of the loss of the codes; published 0.25.
        iou_weight: factor of the loss of the overlaps; published 0.5, or 0 without overlap branches.
        code_weights: factors of the ten dimensions of the code.
        alpha: weight of positive targets in the focal loss; published 0.25.
        gamma: exponent by which the focal loss plays down easy queries; published 2.

    Raises:
        ValueError: when there are not ten `code_weights`.
    """

    def __init__(
        self,
        cls_weight: float = 2.0,
        bbox_weight: float = 0.25,
        iou_weight: float = 0.0,
        code_weights: Sequence[float] = (1.0,) * CODE_SIZE,
        alpha: float = 0.25,
        gamma: float = 2.0,
    ) -> None:
        super().__init__()
        if len(code_weights) != CODE_SIZE:
            raise ValueError(f"code_weights: expected {CODE_SIZE} numbers, got {len(code_weights)}")
        self.focal = FocalLoss(gamma=gamma, alpha=alpha, loss_weight=cls_weight)
        self.bbox_weight = bbox_weight
        self.iou_weight = iou_weight
        self.register_buffer("code_weights", torch.tensor(code_weights, dtype=torch.float32), persistent=False)

    def forward(self, predictions: QueryPredictions, targets: QueryTargets) -> dict[str, LayerSums]:
        """Return `loss_cls`, `loss_bbox` and, where overlaps are predicted, `loss_iou`, in float32."""
        layers, pairs = targets.query.shape
        chosen = (torch.arange(layers, device=targets.query.device)[:, None], targets.sample[None], targets.query)
        codes = predictions.codes.float()[chosen]
        sums = {
            "loss_cls": self._class_sums(predictions.logits.float(), targets),
            "loss_bbox": LayerSums(self._box_total(codes, targets.codes), codes.new_full((layers,), float(pairs))),
        }
        if predictions.ious is not None:
            sums["loss_iou"] = self._iou_sums(predictions.ious.float()[chosen], codes.detach(), targets.codes)
        return sums

    def _class_sums(self, logits: Float[Tensor, "l b q k"], targets: QueryTargets) -> LayerSums:
        layers, classes = logits.shape[0], logits.shape[-1]
        labels = targets.labels.flatten()
        label_mask = labels >= 0
        labels = torch.where(label_mask, labels, classes)
        losses = self.focal(logits.flatten(0, 2), labels, label_mask.to(logits.dtype), reduction_override="none")
        count = logits.new_full((layers,), float(targets.class_count))
        return LayerSums(losses.view(layers, -1).sum(dim=1), count)

    def _box_total(self, codes: Float[Tensor, "l p 10"], targets: Float[Tensor, "l p 10"]) -> Float[Tensor, "l"]:
        # Where the velocity is unknown the prediction is its own target, so that loss and gradient are 0.
        targets = torch.where(torch.isfinite(targets), targets, codes.detach())
        return self.bbox_weight * ((codes - targets).abs() * self.code_weights).sum(dim=(1, 2))

    def _iou_sums(
        self, ious: Float[Tensor, "l p"], codes: Float[Tensor, "l p 10"], targets: Float[Tensor, "l p 10"]
    ) -> LayerSums:
        """Compare predicted overlaps with those of predicted and target boxes, where these overlap at all."""
        overlap = paired_iou_3d(decode_boxes(codes).flatten(0, 1), decode_boxes(targets).flatten(0, 1)).view_as(ious)
        overlapping = (overlap > 0).to(ious.dtype)
        total = ((ious - (2 * overlap - 1)).abs() * overlapping).sum(dim=1)
        return LayerSums(self.iou_weight * total, overlapping.sum(dim=1))


def normalize(sums: dict[str, LayerSums]) -> dict[str, Float[Tensor, "l"]]:
    """Divide each total by its count, averaged over all ranks and at least 1.

    The ranks exchange the counts of all losses and layers in a single reduction.
    """
    counts = reduce_mean(torch.stack([part.count for part in sums.values()])).clamp(min=1)
    return {name: part.total / count for (name, part), count in zip(sums.items(), counts, strict=True)}


def by_layer(losses: dict[str, Float[Tensor, "l"]]) -> dict[str, Tensor]:
    """Return one loss for each layer: the last layer's keeps its name, that of layer i gets the prefix `d{i}.`."""
    named = {}
    for name, values in losses.items():
        for i, value in enumerate(values):
            named[name if i == len(values) - 1 else f"d{i}.{name}"] = value
    return named
