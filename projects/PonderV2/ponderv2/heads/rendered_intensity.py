"""Intensity of LiDAR returns, from the semantic features that were rendered along their rays."""

import torch
from torch import Tensor, nn

from ponderv2.shapes import Float

from .linear_after_rendering import linear_after_rendering


class RenderedIntensity(nn.Module):
    """Makes the intensity of the return of a ray, as `RayBatch` has it, from rendered semantic features.

    How much of a pulse comes back depends on what it hits, so that features which tell intensities apart tell
    materials apart, and that without labels. A linear layer after rendering, as in `RenderedClasses`, and a sigmoid.
    It does not know the direction of the ray, on which intensity depends as well.

    Args:
        in_channels: channels of the rendered features.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.decoder = nn.Linear(in_channels, 1)

    def forward(self, features: Float[Tensor, "*r c"], opacity: Float[Tensor, "*r"]) -> Float[Tensor, "*r"]:
        """Compute the intensities of rays, in float32 whatever autocast is on around it.

        Args:
            features: rendered semantic features.
            opacity: sum of the rendering weights of each ray.
        """
        with torch.autocast(features.device.type, enabled=False):
            decoded = linear_after_rendering(self.decoder, features, opacity)
            return decoded[..., 0].sigmoid()
