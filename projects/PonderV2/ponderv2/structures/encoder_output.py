"""What an encoder returns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor

from .feature_volume import FeatureVolume
from .map_cells import MapCells
from .voxels import Voxels


@dataclass(frozen=True)
class ImageFeatures:
    """Feature maps of the cameras, from which points gather.

    Attributes:
        maps: one map `[B, N, C, h, w]` for each level.
        cells: where the cells of each map lie in the image.
    """

    maps: Sequence[Tensor]
    cells: Sequence[MapCells]


@dataclass(frozen=True)
class EncoderOutput:
    """The features that an encoder has computed, and the losses by which it supervises itself.

    Attributes:
        computed: the volume, or a function without arguments that computes it. Heads read `volume`.
        losses: losses by name (`loss_...`), such as that of the depths of a lift; a model adds them to the losses of
            its head. Empty for an encoder that supervises nothing by itself, and outside training.
        voxels: features of every voxel, of encoders that have them; None of others.
        images: feature maps of the cameras, of encoders that hand them on to points; None of others.
    """

    computed: FeatureVolume | Callable[[], FeatureVolume]
    losses: dict[str, Tensor] = field(default_factory=dict)
    voxels: Voxels | None = None
    images: ImageFeatures | None = None

    @cached_property
    def volume(self) -> FeatureVolume:
        """The feature volume. A head of voxels never asks for it, and then it is not computed."""
        return self.computed if isinstance(self.computed, FeatureVolume) else self.computed()
