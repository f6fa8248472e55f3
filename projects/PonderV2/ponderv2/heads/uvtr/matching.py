"""Which query answers for which box: one to one, by the least total cost."""

from collections.abc import Sequence

import torch
from mmdet.models.task_modules.assigners import FocalLossCost
from mmengine.structures import InstanceData
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ponderv2.shapes import Float, Int

_MATCHED_DIMENSIONS = 8  # all of the code but the velocity, which may be unknown


class HungarianMatcher:
    """Optimal one-to-one matching of queries to boxes (DETR3D §3.3, with the weights of UVTR).

    The cost is that of the focal classification plus the L1 distance of the first eight dimensions of the codes:
    the velocity has no part in it.

    Args:
        class_weight, box_weight: of the two costs; published 2.0 and 0.25.
        code_weights: factors of the code's dimensions in the distance, at least 8; published ones for the plain
            head, and those of its loss for the denoising head.
        alpha, gamma: of the focal cost; published 0.25 and 2.
    """

    def __init__(
        self,
        class_weight: float = 2.0,
        box_weight: float = 0.25,
        code_weights: Sequence[float] = (1.0,) * _MATCHED_DIMENSIONS,
        alpha: float = 0.25,
        gamma: float = 2.0,
    ) -> None:
        self.class_cost = FocalLossCost(alpha=alpha, gamma=gamma, weight=class_weight)
        self.box_weight = box_weight
        self.code_weights = tuple(code_weights[:_MATCHED_DIMENSIONS])

    @torch.no_grad()
    def __call__(
        self,
        logits: Float[Tensor, "l q k"],
        codes: Float[Tensor, "l q 10"],
        labels: Int[Tensor, "n"],
        targets: Float[Tensor, "n 10"],
    ) -> tuple[Int[Tensor, "l p"], Int[Tensor, "l p"]]:
        """Match the predictions of each decoder layer of one sample; p = min(q, n), also 0.

        Args:
            logits: of the classes.
            codes: of the predicted boxes.
            labels: classes of the boxes.
            targets: their codes; NaN velocities do not matter.

        Returns:
            Queries, and the box each is matched with; on the device of `logits`.

        Raises:
            FloatingPointError: when a cost is not finite, which predictions or boxes with NaN make.
        """
        layers, queries, _ = logits.shape
        if len(labels) == 0:
            nothing = labels.new_zeros(layers, 0)
            return nothing, nothing
        # One copy to the CPU for all layers of a sample.
        cost = self.cost(logits.flatten(0, 1), codes.flatten(0, 1), labels, targets).unflatten(0, (layers, queries))
        cost = cost.cpu()
        if not torch.isfinite(cost).all():
            raise FloatingPointError(
                "HungarianMatcher: costs are not finite; finite are "
                f"{_share(logits)} of the class logits, {_share(codes)} of the predicted codes and "
                f"{_share(targets[:, :_MATCHED_DIMENSIONS])} of the boxes' codes, expected all"
            )
        pairs = [linear_sum_assignment(layer.numpy()) for layer in cost]
        query, box = (torch.stack([torch.from_numpy(pair[side]) for pair in pairs]) for side in (0, 1))
        return query.to(labels), box.to(labels)

    def cost(
        self,
        logits: Float[Tensor, "q k"],
        codes: Float[Tensor, "q 10"],
        labels: Int[Tensor, "n"],
        targets: Float[Tensor, "n 10"],
    ) -> Float[Tensor, "q n"]:
        """What matching each query with each box costs."""
        classes = self.class_cost(InstanceData(scores=logits.float()), InstanceData(labels=labels))
        weights = codes.new_tensor(self.code_weights, dtype=torch.float32)
        first = codes[:, :_MATCHED_DIMENSIONS].float() * weights
        second = targets[:, :_MATCHED_DIMENSIONS].float() * weights
        return classes + self.box_weight * torch.cdist(first, second, p=1)


def _share(values: Tensor) -> str:
    return f"{torch.isfinite(values).float().mean().item():.0%}"
