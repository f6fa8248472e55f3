"""The linear layer that makes something of features which were rendered along rays."""

import torch.nn.functional as F
from torch import Tensor, nn

from ponderv2.shapes import Float


def linear_after_rendering(
    layer: nn.Linear, features: Float[Tensor, "*r c"], opacity: Float[Tensor, "*r"]
) -> Float[Tensor, "*r k"]:
    """Apply a linear layer to rendered features, in float32; the result is as if it were applied to every sample.

    What is linear may come after rendering, see `SDFField`; the bias counts as much as light has come together on the
    ray, as it would if it were added at every sample. Autocast has to be off around it.

    Args:
        layer: the layer.
        features: rendered features.
        opacity: sum of the rendering weights of each ray.
    """
    return F.linear(features.float(), layer.weight) + opacity.float()[..., None] * layer.bias
