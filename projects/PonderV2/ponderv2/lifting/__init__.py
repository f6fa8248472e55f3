"""Lifts: they turn image features into a volume. Each class is a method; all have one interface.

`lift(features, depths, strides, rig, grid) -> [B, C, Z, Y, X]`, where `features` and `depths` are lists over levels.
"""

from .pull import PullLift
from .splat import SplatLift

__all__ = ["PullLift", "SplatLift"]
