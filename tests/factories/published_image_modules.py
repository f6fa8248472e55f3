"""UniPAD's image backbone and neck in plain torch, on weights by their published names, and layers that all parts have.

What they compute is a fact about github.com/Nightmare-n/UniPAD: `mask_convnext.py`, without masks, and `fpn.py`.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

Weights = dict[str, Tensor]


def convnext(weights: Weights, images: Tensor, depths: Sequence[int], normed: Sequence[int]) -> list[Tensor]:
    """MaskConvNeXt: the normed maps of some stages."""
    x, maps = images, []
    for i, depth in enumerate(depths):
        down = f"img_backbone.downsample_layers.{i}"
        if i == 0:
            x = channel_norm(weights, f"{down}.1", conv(weights, f"{down}.0", x, stride=4))
        else:
            x = conv(weights, f"{down}.1", channel_norm(weights, f"{down}.0", x), stride=2)
        for j in range(depth):
            x = x + _convnext_branch(weights, f"img_backbone.stages.{i}.{j}", x)
        if i in normed:
            maps.append(channel_norm(weights, f"img_backbone.norm{i}", x))
    return maps


def _convnext_branch(weights: Weights, name: str, x: Tensor) -> Tensor:
    y = conv(weights, f"{name}.dwconv", x, padding=3, groups=x.shape[1])
    y = channel_norm(weights, f"{name}.norm", y).permute(0, 2, 3, 1)
    y = linear(weights, f"{name}.pwconv2", F.gelu(linear(weights, f"{name}.pwconv1", y)))
    return (y * weights[f"{name}.gamma"]).permute(0, 3, 1, 2)


def neck(weights: Weights, maps: Sequence[Tensor]) -> list[Tensor]:
    """FPN with its extra level on the last output, or CustomFPN of a single level; and the projection after it."""
    raised = [conv(weights, f"img_neck.lateral_convs.{k}.conv", m) for k, m in enumerate(maps)]
    for k in reversed(range(1, len(raised))):
        raised[k - 1] = raised[k - 1] + F.interpolate(raised[k], size=raised[k - 1].shape[2:], mode="nearest")
    levels = [conv(weights, f"img_neck.fpn_convs.{k}.conv", m, padding=1) for k, m in enumerate(raised)]
    extra = f"img_neck.fpn_convs.{len(maps)}.conv"
    if f"{extra}.weight" in weights:
        levels.append(conv(weights, extra, levels[-1], stride=2, padding=1))
    return [conv(weights, "input_proj", level) for level in levels]


def biased_conv(weights: Weights, name: str, volume: Tensor) -> Tensor:
    """The 3×3×3 convolution with bias, batch norm and ReLU after a lift, after the fusion, or before the renderer."""
    volume = F.conv3d(volume, weights[f"{name}.0.weight"], weights[f"{name}.0.bias"], padding=1)
    return F.relu(batch_norm(weights, f"{name}.1", volume))


def conv(weights: Weights, name: str, x: Tensor, **how: int) -> Tensor:
    return F.conv2d(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"), **how)


def linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    return F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def layer_norm(weights: Weights, name: str, x: Tensor, eps: float = 1e-5) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)


def channel_norm(weights: Weights, name: str, x: Tensor) -> Tensor:
    """ConvNeXt's LayerNorm, over the channels of each pixel."""
    return layer_norm(weights, name, x.permute(0, 2, 3, 1), eps=1e-6).permute(0, 3, 1, 2)


def batch_norm(weights: Weights, name: str, x: Tensor, eps: float = 1e-5) -> Tensor:
    """A batch norm of any number of axes by its running statistics."""
    mean, var, scale, shift = (weights[f"{name}.{k}"] for k in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, mean, var, scale, shift, False, 0.0, eps)
