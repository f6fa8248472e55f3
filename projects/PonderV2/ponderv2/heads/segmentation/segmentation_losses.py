"""The losses of segmentation: cross entropy, and the Lovász extension of the IoU."""

from collections.abc import Sequence

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
        class_weights: weight of each class in the cross entropy; None weighs all alike.
        ignore_label: label of points that have none.

    Raises:
        UserError: both weights are 0, or one is negative.
    """

    def __init__(
        self,
        cross_entropy: float = 1.0,
        lovasz: float = 1.0,
        class_weights: Sequence[float] | None = None,
        ignore_label: int = -1,
    ) -> None:
        if min(cross_entropy, lovasz) < 0 or cross_entropy == lovasz == 0:
            raise UserError(
                f"SegmentationLoss: expected weights of at least 0 that are not both 0, got {cross_entropy}, {lovasz}"
            )
        self.cross_entropy, self.lovasz = cross_entropy, lovasz
        self.class_weights = None if class_weights is None else tuple(class_weights)
        self.ignore_label = ignore_label

    def __call__(self, logits: Float[Tensor, "p k"], labels: Int[Tensor, "p"]) -> dict[str, Tensor]:
        """Compute `loss_cross_entropy` and `loss_lovasz`, those with a weight; without any label they are 0."""
        labeled = labels != self.ignore_label
        logits, labels = logits[labeled].float(), labels[labeled]
        losses = {}
        if self.cross_entropy:
            weights = None if self.class_weights is None else logits.new_tensor(self.class_weights)
            # The mean of no points is NaN; a sum keeps every parameter in the graph.
            mean = F.cross_entropy(logits, labels, weights) if len(labels) else logits.sum()
            losses["loss_cross_entropy"] = self.cross_entropy * mean
        if self.lovasz:
            extension = lovasz_softmax_flat(logits.softmax(dim=1), labels) if len(labels) else logits.sum()
            losses["loss_lovasz"] = self.lovasz * extension
        return losses
