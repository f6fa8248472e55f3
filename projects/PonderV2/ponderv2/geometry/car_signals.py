"""The car's signals as BEVFormer reads them: 18 numbers, whose pose is that since the frame before."""

import numpy as np
import torch
from torch import Tensor

from ponderv2.shapes import Float

CAN_BUS_SIZE = 18
"""Numbers of the signals: position 3, orientation 4 (w, x, y, z), acceleration 3, rotation rate 3, velocity 3, yaw in
radians and in degrees."""


def signals_since(signals: Float[np.ndarray, "18"], before: Float[np.ndarray, "18"] | None) -> Float[Tensor, "18"]:
    """Make the signals of a frame those since the frame before, float32.

    The position (metres, axes of the map) and the last number, the yaw in degrees, become differences, 0 where there is
    no frame before; everything else stays (BEVFormer's data set and `forward_test`). The difference of yaws is brought
    to [-180, 180), where the published code jumps by 360 when the car turns through 0.

    Args:
        signals: the 18 numbers of the frame.
        before: those of the frame before, of the same scene; None at the start of a scene.
    """
    now = torch.as_tensor(signals, dtype=torch.float64)
    # Positions are kilometres from the map's corner: float32 comes after the difference.
    then = now if before is None else torch.as_tensor(before, dtype=torch.float64)
    turned = (now[-1:] - then[-1:] + 180) % 360 - 180
    return torch.cat([now[:3] - then[:3], now[3:-1], turned]).float()
