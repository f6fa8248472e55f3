"""Layers that read the car's signals."""

from mmengine.model import xavier_init
from torch import nn

from ponderv2.geometry import CAN_BUS_SIZE


def can_bus_mlp(channels: int) -> nn.Sequential:
    """Make the layers from the 18 numbers of the CAN bus to what is added to each query, as BEVFormer's code has them.

    Its paper does not tell of them.
    """
    layers = nn.Sequential(
        nn.Linear(CAN_BUS_SIZE, channels // 2),
        nn.ReLU(inplace=True),
        nn.Linear(channels // 2, channels),
        nn.ReLU(inplace=True),
        nn.LayerNorm(channels),
    )
    for place in (0, 2):
        xavier_init(layers[place], distribution="uniform")
    return layers
