"""What an encoder returns."""

from dataclasses import dataclass, field

from torch import Tensor

from .feature_volume import FeatureVolume


@dataclass(frozen=True)
class EncoderOutput:
    """The feature volume that an encoder has computed, and the losses by which it supervises itself.

    Attributes:
        volume: the features that a head reads.
        losses: losses by name (`loss_...`), such as that of the depths of a lift; a model adds them to the losses of
            its head. Empty for an encoder that supervises nothing by itself, and outside training.
    """

    volume: FeatureVolume
    losses: dict[str, Tensor] = field(default_factory=dict)
