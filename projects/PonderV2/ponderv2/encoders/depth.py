"""Depth distributions for lifting."""

from torch import Tensor, nn

from ponderv2.registry import MODELS
from ponderv2.shapes import Float


@MODELS.register_module()
class SimpleDepth(nn.Module):
    """One 1×1 convolution to depth bins, softmax; shared by all levels, never supervised (UVTR, UniPAD).

    Args:
        in_channels: of the feature map.
        num_bins: published 64 for 0–64 m.
    """

    def __init__(self, in_channels: int, num_bins: int = 64) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, num_bins, 1)

    def forward(self, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h w"]:
        """Probabilities of the bins, summing to 1 over them."""
        return self.conv(features).softmax(dim=1)
