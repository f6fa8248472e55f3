"""A teacher that has learned nothing: the blind baseline of a teacher."""

import torch

from ponderv2.registry import MODELS

from .image_teacher import ImageTeacher
from .street_teacher import STRIDE, StreetNet


@MODELS.register_module()
class RandomTeacher(ImageTeacher):
    """The network of the street teacher with random weights.

    What is gained by its features is no knowledge of the teacher, but what any fixed function of the pictures gives.

    Args:
        channels: channels of the maps.
        stride: width of a cell, pixels, see `ImageTeacher`.
        seed: seed of the weights.
    """

    def __init__(self, channels: int = 48, stride: int = STRIDE, seed: int = 0) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = StreetNet(("anything",), channels)
        super().__init__(network, channels, STRIDE, stride)
