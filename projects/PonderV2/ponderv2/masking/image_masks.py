"""Block masks of images (UniPAD §3.1; published setting: 32-pixel blocks, 30 % of them hidden)."""

import torch
from torch import Tensor

from ponderv2.shapes import Bool


def draw_block_mask(
    num_images: int,
    image_size: tuple[int, int],
    block: int = 32,
    ratio: float = 0.3,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> Bool[Tensor, "n h w"]:
    """Hide a fixed share of the square blocks of each image, independently from image to image.

    Of the `n = (H / block) * (W / block)` blocks of an image exactly `round(n * (1 - ratio))` stay visible.

    Args:
        num_images: number of masks; every camera of every sample counts as one image.
        image_size: (H, W) in pixels, padding included.
        block: edge of a block in pixels.
        ratio: share of hidden blocks, in [0, 1).
        generator: source of randomness; None is torch's default one of the CPU.
        device: device of the mask that is returned. It is drawn where the generator lives, so that one seed gives the
            same mask whatever the device of the model.

    Returns:
        A mask `[num_images, H / block, W / block]`, True where a block is visible.

    Raises:
        ValueError: when `ratio` is outside [0, 1), `block` is below 1, or H or W is not a multiple of `block`.
    """
    height, width = image_size
    if not 0 <= ratio < 1:
        raise ValueError(f"the share of hidden blocks is in [0, 1), not {ratio}")
    if block < 1:
        raise ValueError(f"the edge of a block is at least 1 pixel, not {block}")
    if height % block or width % block:
        raise ValueError(
            f"an image of {height}x{width} pixels (height x width) does not divide into blocks of {block}: "
            f"pad it to {-(-height // block) * block}x{-(-width // block) * block}"
        )
    rows, columns = height // block, width // block
    total = rows * columns
    kept = round(total * (1 - ratio))
    source = generator.device if generator is not None else "cpu"
    # The first blocks of a random order: exact counts, which a coin toss per block would not give.
    order = torch.rand(num_images, total, generator=generator, device=source).argsort(dim=1)
    visible = torch.zeros(num_images, total, dtype=torch.bool, device=source)
    visible.scatter_(1, order[:, :kept], True)
    return visible.view(num_images, rows, columns).to(device, non_blocking=True)


def resize_block_mask(mask: Bool[Tensor, "n h w"], size: tuple[int, int]) -> Bool[Tensor, "n h2 w2"]:
    """Bring a block mask to another resolution, by nearest neighbour.

    Enlarging repeats each block. Shrinking keeps the upper left block of every group: the position that the
    strided 1×1 shortcut of a ResNet reads.

    Args:
        mask: visibility of the blocks.
        size: (rows, columns) of the result, such as those of a feature map or of the pixels.

    Raises:
        ValueError: when `size` is neither a whole multiple nor a whole fraction of the block grid.
    """
    rows, columns = mask.shape[-2:]
    height, width = size
    if min(height, width) > 0:
        if height % rows == 0 and width % columns == 0:
            return mask.repeat_interleave(height // rows, 1).repeat_interleave(width // columns, 2)
        if rows % height == 0 and columns % width == 0:
            return mask[:, :: rows // height, :: columns // width]
    raise ValueError(
        f"a mask of {rows}x{columns} blocks (rows x columns) does not fit a map of {height}x{width}: both "
        "sides must be whole multiples, or both whole fractions, of the block grid; is the mask of another "
        "image size?"
    )
