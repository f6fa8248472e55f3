"""Lifts: they turn image features into a volume. Each class is a method; all have one interface.

`lift(features, depths, strides, rig, grid, offsets) -> [B, C, Z, Y, X]`, where `features` and `depths` are lists over
levels. `strides` and `offsets` say where the cells of each level lie in the image, `grid` which cells are filled. A
lift that does not use depths says so in `reads_depths`; one with `reads_history` also takes `past`, the volume of the
frame before.
"""

from typing import TYPE_CHECKING

from .pull import PullLift
from .splat import SplatLift

if TYPE_CHECKING:
    from .deformable import DeformableLift

__all__ = ["DeformableLift", "PullLift", "SplatLift"]


def __getattr__(name: str) -> type:
    # The one lift that needs mmcv is imported when it is asked for: the others run on a bare machine.
    if name != "DeformableLift":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .deformable import DeformableLift

    return DeformableLift
