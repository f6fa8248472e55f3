"""Samples along a ray to one colour and one depth."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ponderv2.shapes import Bool, Float


@dataclass(frozen=True)
class RenderOutput:
    """What rays see. Depths in metres.

    Attributes:
        rgb: colour in [0, 1], over black; None without a colour network.
        depth: expected distance, divided by the opacity (the published form).
        opacity: sum of the weights, in [0, 1].
        depth_to_far: expected distance with what is left of the ray placed at its far end: transparent rays
            do not get away with a good depth.
        hit: rays that meet the scene's box at all; the others are meaningless.
        weights, sdf, normal, t: of every sample; sdf and normal in scene units, t in metres.
        origins, directions: the rays themselves, origins in metres.
    """

    rgb: Float[Tensor, "*r 3"] | None
    depth: Float[Tensor, "*r"]
    opacity: Float[Tensor, "*r"]
    depth_to_far: Float[Tensor, "*r"]
    hit: Bool[Tensor, "*r"]
    weights: Float[Tensor, "*r s"]
    sdf: Float[Tensor, "*r s"]
    normal: Float[Tensor, "*r s 3"]
    t: Float[Tensor, "*r s"]
    origins: Float[Tensor, "*r 3"]
    directions: Float[Tensor, "*r 3"]


def transmittance_weights(log_transparency: Float[Tensor, "*r s"]) -> Float[Tensor, "*r s"]:
    """Weights `T_i alpha_i` from `log(1 - alpha_i)`; they sum to `1 - T_end` ≤ 1.

    `T_i` is the exponential of an exclusive cumulative sum, so nothing underflows to a false zero and no
    epsilon is needed.
    """
    before = torch.cumsum(log_transparency, dim=-1) - log_transparency
    return torch.exp(before) * -torch.expm1(log_transparency)


def composite(
    weights: Float[Tensor, "*r s"],
    t: Float[Tensor, "*r s"],
    far: Float[Tensor, "*r"],
    rgb: Float[Tensor, "*r s 3"] | None,
) -> tuple[Float[Tensor, "*r 3"] | None, Float[Tensor, "*r"], Float[Tensor, "*r"], Float[Tensor, "*r"]]:
    """Colour over black, depth / opacity, opacity, and depth with the rest at the far end.

    Lengths in any one unit (UniPAD Eq. 5–6).
    """
    opacity = weights.sum(dim=-1)
    moment = (weights * t).sum(dim=-1)
    depth = (moment / (opacity + 1e-10)).clamp(min=0.0)
    # An empty ray would read 0 m; the published code clips to the sampled interval as well.
    depth = torch.minimum(torch.maximum(depth, t[..., 0]), t[..., -1])
    color = None if rgb is None else (weights[..., None] * rgb).sum(dim=-2)
    return color, depth, opacity, moment + (1 - opacity) * far
