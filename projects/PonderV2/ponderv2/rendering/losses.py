"""What rendered rays are compared by. Each is a mean over the rays of a sample that count, 0 when
none does, and then over the batch."""

import torch
from torch import Tensor

from ponderv2.shapes import Bool, Float


def color_loss(
    rendered: Float[Tensor, "b *r 3"], target: Float[Tensor, "b *r 3"], mask: Bool[Tensor, "b *r"]
) -> Float[Tensor, ""]:
    """Mean absolute difference of colours in [0, 1]; published weight 10 (UniPAD Eq. 8)."""
    return _masked_mean((rendered - target).abs().mean(dim=-1), mask)


def depth_loss(
    rendered: Float[Tensor, "b *r"],
    target: Float[Tensor, "b *r"],
    mask: Bool[Tensor, "b *r"],
    scene_scale: float,
) -> Float[Tensor, ""]:
    """Mean absolute difference of depths in scene units; published weight 10 (UniPAD Eq. 8).

    `rendered` and `target` are metres; at a scale of 1/54 a metre costs 1/54.
    """
    return _masked_mean((rendered - target).abs() * scene_scale, mask)


def _masked_mean(values: Float[Tensor, "b *r"], mask: Bool[Tensor, "b *r"]) -> Float[Tensor, ""]:
    """Mean over the rays of a sample that count, then over the samples: a batch is the mean of its samples."""
    # `where`, not a product: a value that does not count may be anything, NaN included.
    total = torch.where(mask, values, torch.zeros_like(values)).flatten(1).sum(dim=1)
    return (total / mask.flatten(1).sum(dim=1).clamp(min=1)).mean()
