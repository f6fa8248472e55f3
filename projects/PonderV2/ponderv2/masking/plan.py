"""How much of the input is hidden, as a value that is passed down."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ponderv2.shapes import Bool, Float

from .image import draw_block_mask


@dataclass(frozen=True)
class InputMasking:
    """The plan of input masking; encoders draw their masks from it at every call.

    Attributes:
        image_ratio: share of image blocks hidden, published 0.3 (best of 0.1–0.7); 0 hides none.
        image_block: edge of a block in pixels, published 32: one cell of the coarsest ConvNeXt stage.
        generator: source of randomness; None is torch's default one, seeded by the runner.
    """

    image_ratio: float = 0.3
    image_block: int = 32
    generator: torch.Generator | None = None

    def draw_image_mask(self, images: Float[Tensor, "n 3 h w"]) -> Bool[Tensor, "n hb wb"] | None:
        """Visibility of the blocks of each image, every image with its own draw; None when none is hidden."""
        if self.image_ratio == 0:
            return None
        return draw_block_mask(
            len(images), images.shape[-2:], self.image_block, self.image_ratio, self.generator, images.device
        )
