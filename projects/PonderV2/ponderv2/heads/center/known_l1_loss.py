"""The L1 loss of targets that are known in part."""

import torch
from mmdet.models.losses import L1Loss
from torch import Tensor

from ponderv2.registry import MODELS


@MODELS.register_module()
class KnownL1Loss(L1Loss):
    """mmdet's `L1Loss`, in which a target of NaN has no loss and no gradient.

    mmdet3d's `CenterHead` gives such targets a weight of 0, but 0 · NaN is NaN.
    """

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: Tensor | float | None = None,
        reduction_override: str | None = None,
    ) -> Tensor:
        """Return the loss of the targets that are known, see `L1Loss`; where one is not, the prediction is its own."""
        target = torch.where(target.isnan(), pred.detach(), target)
        return super().forward(pred, target, weight, avg_factor, reduction_override)
