"""Lifts: they turn image features into a volume. Each class is a method; all have one interface.

`lift(features, depths, strides, rig, grid, offsets) -> [B, C, Z, Y, X]`, where `features` and `depths` are lists over
levels. `strides` and `offsets` say where the cells of each level lie in the image, `grid` which cells are filled.
"""

from .pull import PullLift
from .splat import SplatLift

__all__ = ["PullLift", "SplatLift"]
