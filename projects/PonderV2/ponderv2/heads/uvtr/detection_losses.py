"""What is asked of each query, and how far it is from it."""

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
    """What the queries of all layers should say; p of them have a box.

    Attributes:
        labels: class, the number of classes for background, -1 to ask nothing.
        sample: which sample of the batch a query with a box is in, the same in all layers.
        query: which query it is.
        codes: of its box.
        class_count: what the sum of the class loss is divided by, on one rank.
    """

    labels: Int[Tensor, "l b q"]
    sample: Int[Tensor, "p"]
    query: Int[Tensor, "l p"]
    codes: Float[Tensor, "l p 10"]
    class_count: float


@dataclass(frozen=True)
class LayerSums:
    """A loss summed over the queries of each layer, and what to divide it by."""

    total: Float[Tensor, "l"]
    count: Float[Tensor, "l"]


class DetectionLoss(nn.Module):
    """Focal loss of the classes, L1 of the box codes, L1 of the predicted overlap.

    Sums stay connected to every prediction, also when no query has a box: all parameters always have a gradient.

    Args:
        cls_weight: published 2.0.
        bbox_weight: published 0.25.
        iou_weight: published 0.5; 0 without that branch.
        code_weights: factors of the ten dimensions of the code.
        alpha, gamma: of the focal loss, published 0.25 and 2.
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
        """`loss_cls`, `loss_bbox` and, where overlaps are predicted, `loss_iou`, float32."""
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
        asked = labels >= 0
        labels = torch.where(asked, labels, classes)
        each = self.focal(logits.flatten(0, 2), labels, asked.to(logits.dtype), reduction_override="none")
        count = logits.new_full((layers,), float(targets.class_count))
        return LayerSums(each.view(layers, -1).sum(dim=1), count)

    def _box_total(self, codes: Float[Tensor, "l p 10"], wanted: Float[Tensor, "l p 10"]) -> Float[Tensor, "l"]:
        # An unknown velocity asks nothing: its difference is 0, and so is its gradient.
        wanted = torch.where(torch.isfinite(wanted), wanted, codes.detach())
        return self.bbox_weight * ((codes - wanted).abs() * self.code_weights).sum(dim=(1, 2))

    def _iou_sums(
        self, ious: Float[Tensor, "l p"], codes: Float[Tensor, "l p 10"], wanted: Float[Tensor, "l p 10"]
    ) -> LayerSums:
        overlap = paired_iou_3d(decode_boxes(codes).flatten(0, 1), decode_boxes(wanted).flatten(0, 1)).view_as(ious)
        meets = (overlap > 0).to(ious.dtype)
        total = ((ious - (2 * overlap - 1)).abs() * meets).sum(dim=1)
        return LayerSums(self.iou_weight * total, meets.sum(dim=1))


def normalise(sums: dict[str, LayerSums]) -> dict[str, Float[Tensor, "l"]]:
    """Totals over counts: the mean count of all ranks, at least 1; one exchange for all losses and layers."""
    counts = reduce_mean(torch.stack([part.count for part in sums.values()])).clamp(min=1)
    return {name: part.total / count for (name, part), count in zip(sums.items(), counts, strict=True)}


def by_layer(losses: dict[str, Float[Tensor, "l"]]) -> dict[str, Tensor]:
    """One loss a layer: the last keeps its name, layer i before it is `d{i}.` and the name."""
    named = {}
    for name, values in losses.items():
        for i, value in enumerate(values):
            named[name if i == len(values) - 1 else f"d{i}.{name}"] = value
    return named
