"""Masking: it hides parts of the input from an encoder. Masks are drawn from a generator, returned, never stored.

True means visible.
"""

from .image_masks import draw_block_mask, resize_block_mask
from .input_masking import InputMasking
from .voxel_masks import draw_voxel_mask

__all__ = ["InputMasking", "draw_block_mask", "draw_voxel_mask", "resize_block_mask"]
