"""Compositing: the samples along a ray become one colour and one depth."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ponderv2.shapes import Bool, Float


@dataclass(frozen=True)
class RenderOutput:
    """What has been rendered of rays. Depths are metres.

    Attributes:
        rgb: colour in [0, 1], over black; None without a colour network.
        depth: expected distance, divided by the opacity (the published form).
        opacity: sum of the weights, in [0, 1].
        depth_to_far: expected distance when the light that is left is placed at the far end of the ray, so that a
            transparent ray cannot have a good depth.
        hit: mask of the rays that meet the scene's box; of a ray that does not, no other value means anything.
        weights: rendering weight of every sample.
        sdf: signed distance at every sample, scene units.
        normal: gradient of the signed distance at every sample, not normalised.
        t: distance of every sample from the origin of its ray, metres.
        semantic: semantic features, over nothing, as the colour is over black; None without a semantic network.
        features: features to compare with those of images, likewise; None without a feature network.
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
    semantic: Float[Tensor, "*r k"] | None = None
    features: Float[Tensor, "*r c"] | None = None


def transmittance_weights(log_transparency: Float[Tensor, "*r s"]) -> Float[Tensor, "*r s"]:
    """Compute the rendering weights `T_i alpha_i` from `log(1 - alpha_i)`; they sum to `1 - T_end` ≤ 1.

    `T_i` is the exponential of an exclusive cumulative sum, so nothing underflows to a false zero and no
    epsilon is needed.
    """
    return torch.exp(exclusive_sum(log_transparency)) * -torch.expm1(log_transparency)


def exclusive_sum(values: Float[Tensor, "*r s"]) -> Float[Tensor, "*r s"]:
    """Compute the sum of what comes before each sample of a ray.

    It is a cumulative sum that starts at zero. The cumulative sum less the sample's own value would cancel where that
    value is large: behind an opaque sample light would come back, and an infinite one would give NaN.
    """
    return torch.cumsum(F.pad(values[..., :-1], (1, 0)), dim=-1)


def render_values(weights: Float[Tensor, "*r s"], values: Float[Tensor, "*r s k"]) -> Float[Tensor, "*r k"]:
    """Sum up what the samples of rays have, as colours (UniPAD Eq. 5), by their rendering weights.

    A ray's weights sum to its opacity, so what is left of the light adds nothing.
    """
    return (weights[..., None] * values).sum(dim=-2)


def composite(
    weights: Float[Tensor, "*r s"],
    t: Float[Tensor, "*r s"],
    far: Float[Tensor, "*r"],
    rgb: Float[Tensor, "*r s 3"] | None,
) -> tuple[Float[Tensor, "*r 3"] | None, Float[Tensor, "*r"], Float[Tensor, "*r"], Float[Tensor, "*r"]]:
    """Sum up the samples of rays (UniPAD Eq. 5–6). All lengths are in one unit, whichever it is.

    Args:
        weights: rendering weight of each sample.
        t: distance of each sample.
        far: far end of each ray.
        rgb: colour of each sample, or None.

    Returns:
        Colour over black (None without colours), depth divided by the opacity, opacity, and depth with the light that
        is left at the far end.
    """
    opacity = weights.sum(dim=-1)
    moment = (weights * t).sum(dim=-1)
    depth = (moment / (opacity + 1e-10)).clamp(min=0.0)
    # An empty ray would read 0 m; the published code clips to the sampled interval as well.
    depth = torch.minimum(torch.maximum(depth, t[..., 0]), t[..., -1])
    color = None if rgb is None else render_values(weights, rgb)
    return color, depth, opacity, moment + (1 - opacity) * far
