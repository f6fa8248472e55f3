"""One-to-one matching of queries and boxes at the least total cost."""

from collections.abc import Sequence

import torch
from mmdet.models.task_modules.assigners import FocalLossCost
from mmengine.structures import InstanceData
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ponderv2.shapes import Float, Int
from ponderv2.structures import constant

_MATCHED_DIMENSIONS = 8  # all of the code but the velocity, which may be unknown


class HungarianMatcher:
    """Matches queries one to one with boxes, optimally (DETR3D §3.3, with the weights of UVTR).

    The cost of a pair is the focal classification cost plus the L1 distance between the first eight dimensions of
    the codes; the velocity is left out.

    Args:
        class_weight: factor of the classification cost; published 2.0.
        box_weight: factor of the distance between codes; published 0.25.
        code_weights: factors of the code's dimensions in the distance, of which the first eight count. Published are
            ones for the plain head, and the weights of its loss for the denoising head.
        alpha: weight of positive targets in the focal cost; published 0.25.
        gamma: exponent by which the focal cost plays down easy queries; published 2.
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
            logits: logits of the classes.
            codes: codes of the predicted boxes.
            labels: classes of the target boxes.
            targets: codes of the target boxes; their velocities may be NaN.

        Returns:
            Indices of the matched queries, and of the box that each is matched with, on the device of `logits`.

        Raises:
            FloatingPointError: when a cost is not finite, because a prediction or a box is not.
        """
        layers, queries, _ = logits.shape
        if len(labels) == 0:
            empty = labels.new_zeros(layers, 0)
            return empty, empty
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
        """Return the cost of matching each query with each box."""
        classes = self.class_cost(InstanceData(scores=logits.float()), InstanceData(labels=labels))
        weights = constant(self.code_weights, codes.device)
        first = codes[:, :_MATCHED_DIMENSIONS].float() * weights
        second = targets[:, :_MATCHED_DIMENSIONS].float() * weights
        return classes + self.box_weight * torch.cdist(first, second, p=1)


def _share(values: Tensor) -> str:
    return f"{torch.isfinite(values).float().mean().item():.0%}"
