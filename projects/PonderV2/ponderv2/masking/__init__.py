"""What part of the input an encoder may see: masks are drawn from a generator, returned, never stored.

True means visible.
"""

from .image import draw_block_mask, resize_block_mask
from .plan import InputMasking
from .points import draw_voxel_mask

__all__ = ["InputMasking", "draw_block_mask", "draw_voxel_mask", "resize_block_mask"]
