"""UniPAD's image modules in plain torch, on weights by their published names.

What they compute is a fact about github.com/Nightmare-n/UniPAD: `mask_convnext.py`, `fpn.py` and `DepthNet` of
`uni3d_voxelpooldepth.py`, without masks and in evaluation.
"""

from collections.abc import Sequence

import torch
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


def simple_depth(weights: Weights, x: Tensor) -> Tensor:
    """Probabilities of the depth bins, of one convolution."""
    return conv(weights, "depth_net", x).softmax(dim=1)


def complex_depth(weights: Weights, x: Tensor) -> Tensor:
    """Probabilities of the depth bins, of the network after BEVDepth."""
    x = F.relu(batch_norm(weights, "depth_net.reduce_conv.1", conv(weights, "depth_net.reduce_conv.0", x, padding=1)))
    for k in range(3):
        part = f"depth_net.depth_conv.{k}"
        y = F.relu(batch_norm(weights, f"{part}.bn1", conv(weights, f"{part}.conv1", x, padding=1)))
        x = F.relu(batch_norm(weights, f"{part}.bn2", conv(weights, f"{part}.conv2", y, padding=1)) + x)
    part = "depth_net.depth_conv.3"
    seen = []
    for k, dilation in enumerate((1, 6, 12, 18), start=1):
        padding = 0 if k == 1 else dilation
        y = conv(weights, f"{part}.aspp{k}.atrous_conv", x, padding=padding, dilation=dilation)
        seen.append(F.relu(batch_norm(weights, f"{part}.aspp{k}.bn", y)))
    mean = conv(weights, f"{part}.global_avg_pool.1", F.adaptive_avg_pool2d(x, 1))
    mean = F.relu(batch_norm(weights, f"{part}.global_avg_pool.2", mean))
    seen.append(F.interpolate(mean, size=x.shape[2:], mode="bilinear", align_corners=True))
    x = F.relu(batch_norm(weights, f"{part}.bn1", conv(weights, f"{part}.conv1", torch.cat(seen, dim=1))))
    return conv(weights, "depth_net.depth_conv.4", x).softmax(dim=1)


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
