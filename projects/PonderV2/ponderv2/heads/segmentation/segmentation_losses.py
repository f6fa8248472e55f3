"""The losses of segmentation: cross entropy, and the Lovász extension of the IoU."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmdet3d.models.losses.lovasz_loss import lovasz_softmax_flat
from torch import Tensor

from ponderv2.errors import UserError
from ponderv2.shapes import Float, Int


class SegmentationLoss:
    """Weighted losses of class logits; points without a label have no part in them.

    The means are over all labeled points of the batch, as in the public baseline (Pointcept's SpUNet), so that a sweep
    counts by its points. Computed in float32.

    Args:
        cross_entropy: weight of the cross entropy; published 1.
        lovasz: weight of the Lovász softmax loss (Berman et al. 2018, eq. 9), the mean over the classes that occur in
            the batch; SLidR and Cylinder3D give both weight 1, Pointcept's SpUNet leaves it out.
        class_weights: weight of each class in the cross entropy, in the order of the labels; None weighs all alike. 0
            leaves a class out there; the mean is over the weights, as torch has it.
        ignore_label: label of points that have none.
        num_classes: number of classes, which `class_weights` must have; None does not check it.

    Raises:
        UserError: both weights are 0, or one is negative; `class_weights` are not one finite number of at least 0 for
            each class, or all are 0.
    """

    def __init__(
        self,
        cross_entropy: float = 1.0,
        lovasz: float = 1.0,
        class_weights: Sequence[float] | None = None,
        ignore_label: int = -1,
        num_classes: int | None = None,
    ) -> None:
        if min(cross_entropy, lovasz) < 0 or cross_entropy == lovasz == 0:
            raise UserError(
                f"SegmentationLoss: expected weights of at least 0 that are not both 0, got {cross_entropy}, {lovasz}"
            )
        self.cross_entropy, self.lovasz = cross_entropy, lovasz
        self.class_weights = None if class_weights is None else _checked(tuple(class_weights), num_classes)
        self.ignore_label = ignore_label

    def __call__(self, logits: Float[Tensor, "p k"], labels: Int[Tensor, "p"]) -> dict[str, Tensor]:
        """Compute `loss_cross_entropy` and `loss_lovasz`, those with a weight; without any label they are 0."""
        labeled = labels != self.ignore_label
        logits, labels = logits[labeled].float(), labels[labeled]
        losses = {}
        if self.cross_entropy:
            losses["loss_cross_entropy"] = self.cross_entropy * self._cross_entropy(logits, labels)
        if self.lovasz:
            extension = lovasz_softmax_flat(logits.softmax(dim=1), labels) if len(labels) else logits.sum()
            losses["loss_lovasz"] = self.lovasz * extension
        return losses

    def _cross_entropy(self, logits: Float[Tensor, "p k"], labels: Int[Tensor, "p"]) -> Float[Tensor, ""]:
        if self.class_weights is None:
            # The mean of no points is NaN; a sum keeps every parameter in the graph.
            return F.cross_entropy(logits, labels) if len(labels) else logits.sum()
        weights = logits.new_tensor(self.class_weights)
        total = F.cross_entropy(logits, labels, weights, reduction="sum")
        # The mean of points that all weigh nothing is NaN as well.
        return total / weights[labels].sum().clamp(min=torch.finfo(total.dtype).tiny)


def _checked(weights: tuple[float, ...], num_classes: int | None) -> tuple[float, ...]:
    if num_classes is not None and len(weights) != num_classes:
        raise UserError(
            f"SegmentationLoss: class_weights: expected {num_classes} numbers, one for each class in the order of the "
            f"labels (nuScenes-lidarseg: LIDARSEG_CLASSES), got {len(weights)}"
        )
    wrong = [weight for weight in weights if not (0 <= weight < math.inf)]
    if wrong or not any(weights):
        raise UserError(
            f"SegmentationLoss: class_weights: expected finite numbers of at least 0 that are not all 0, got "
            f"{wrong or weights}"
        )
    return weights
