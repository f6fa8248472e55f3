"""Image features to a volume: one class a method, one interface.

`lift(features, depths, strides, rig, grid) -> [B, C, Z, Y, X]`, with `features` and `depths` a list over levels.
"""

from .pull import PullLift
from .splat import SplatLift

__all__ = ["PullLift", "SplatLift"]
