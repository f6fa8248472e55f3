"""Reading an image between its pixels."""

import torch.nn.functional as F
from torch import Tensor

from ponderv2.shapes import Float


def sample_image(image: Float[Tensor, "c h w"], pixels: Float[Tensor, "r 2"]) -> Float[Tensor, "r c"]:
    """Bilinear values at pixels (u, v), integer coordinates being pixel centres; the border is repeated."""
    height, width = image.shape[-2:]
    size = pixels.new_tensor([width, height])
    normalised = (2 * pixels + 1) / size - 1
    values = F.grid_sample(
        image[None], normalised[None, :, None].to(image.dtype), align_corners=False, padding_mode="border"
    )
    return values[0, :, :, 0].T
