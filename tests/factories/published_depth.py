"""The published depth networks in evaluation, stated anew in plain torch.

Weights are a flat dictionary with the published names; `prefix` ends with the module's.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def published_simple_depth(weights: dict[str, Tensor], features: Tensor, prefix: str = "depth_net.") -> Tensor:
    """Predict probabilities `[N, D, H, W]` of depth bins with one 1×1 convolution ("SimpleDepth")."""
    return F.conv2d(features, weights[f"{prefix}weight"], weights[f"{prefix}bias"]).softmax(dim=1)


def published_complex_depth(weights: dict[str, Tensor], features: Tensor, prefix: str = "depth_net.") -> Tensor:
    """Predict probabilities `[N, D, H, W]` of depth bins ("ComplexDepth"): residual blocks, then a pyramid."""

    def conv(name: str, x: Tensor, dilation: int = 1) -> Tensor:
        weight = weights[f"{prefix}{name}.weight"]
        padding = dilation * (weight.shape[-1] // 2)
        return F.conv2d(x, weight, weights.get(f"{prefix}{name}.bias"), padding=padding, dilation=dilation)

    def norm(name: str, x: Tensor) -> Tensor:
        mean, var, weight, bias = (
            weights[f"{prefix}{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, var, weight, bias)

    x = norm("reduce_conv.1", conv("reduce_conv.0", features)).relu()
    for block in range(3):
        at = f"depth_conv.{block}"
        inner = norm(f"{at}.bn1", conv(f"{at}.conv1", x)).relu()
        x = (x + norm(f"{at}.bn2", conv(f"{at}.conv2", inner))).relu()
    at = "depth_conv.3"
    seen = [
        norm(f"{at}.aspp{k}.bn", conv(f"{at}.aspp{k}.atrous_conv", x, dilation)).relu()
        for k, dilation in enumerate((1, 6, 12, 18), start=1)
    ]
    mean = norm(f"{at}.global_avg_pool.2", conv(f"{at}.global_avg_pool.1", x.mean(dim=(2, 3), keepdim=True))).relu()
    x = torch.cat([*seen, mean.expand(-1, -1, *x.shape[2:])], dim=1)
    return conv("depth_conv.4", norm(f"{at}.bn1", conv(f"{at}.conv1", x)).relu()).softmax(dim=1)
