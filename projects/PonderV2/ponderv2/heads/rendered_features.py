"""Features of rays, in the channels of the image branch, from the features that were rendered along them."""

import torch
from torch import Tensor, nn

from ponderv2.errors import UserError
from ponderv2.shapes import Float

from .linear_after_rendering import linear_after_rendering


class RenderedFeatures(nn.Module):
    """Makes features of the channels of an image branch from rendered features, by a linear layer.

    What is linear may come after rendering, as in `RenderedClasses`; the bias counts as much as light has come together
    on the ray.

    Args:
        in_channels: channels of the rendered features.
        channels: channels of the image branch.
        shape_geometry: whether the gradient of the features reaches signed distance and opacity. Published systems
            leave geometry to depth at first, hence False.

    Raises:
        UserError: `channels` is not a whole number of at least 1.
    """

    def __init__(self, in_channels: int, channels: int, shape_geometry: bool = False) -> None:
        super().__init__()
        self.shape_geometry = shape_geometry
        if not isinstance(channels, int) or channels < 1:
            raise UserError(f"feature.channels: expected a whole number of at least 1, got {channels!r}")
        self.decoder = nn.Linear(in_channels, channels)

    def forward(self, features: Float[Tensor, "*r k"], opacity: Float[Tensor, "*r"]) -> Float[Tensor, "*r c"]:
        """Compute the features of rays, in float32 whatever autocast is on around it.

        Args:
            features: rendered features.
            opacity: sum of the rendering weights of each ray.
        """
        with torch.autocast(features.device.type, enabled=False):
            opacity = opacity if self.shape_geometry else opacity.detach()
            return linear_after_rendering(self.decoder, features, opacity)
