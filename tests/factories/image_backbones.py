"""Tiny image backbones, images and masks for them."""

import torch
from torch import nn

from ponderv2.encoders.image.image_backbones import PonderConvNeXt, PonderResNet
from ponderv2.masking import draw_block_mask

DEPTHS, CONVNEXT, RESNET = (2, 1, 2, 1), (8, 12, 16, 20), (16, 24, 32, 40)
SIZE = (64, 96)


def build(kind: str, **kwargs: object) -> nn.Module:
    """A tiny backbone in which every parameter matters; the initial layer scale of 1e-6 would hide errors."""
    kwargs = {"frozen_stages": -1, "depths": DEPTHS} | kwargs
    if kind == "convnext":
        model = PonderConvNeXt(**{"channels": CONVNEXT, "drop_path_rate": 0.0} | kwargs)
    else:
        model = PonderResNet(**{"channels": RESNET, "stem_channels": 8} | kwargs)
    torch.manual_seed(0)
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.copy_(0.5 + torch.rand_like(value) if value.ndim == 1 else torch.randn_like(value) * 0.2)
            if name.endswith("bias"):
                value.uniform_(0.5, 1.5)  # above zero, or a ReLU may silence a position
        for name, value in model.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                value.uniform_(0.5, 1.5)
    return model


def images(seed: int = 0, num_images: int = 2) -> torch.Tensor:
    return torch.randn(num_images, 3, *SIZE, generator=torch.Generator().manual_seed(seed))


def mask(seed: int = 0, block: int = 32) -> torch.Tensor:
    return draw_block_mask(2, SIZE, block, 0.4, torch.Generator().manual_seed(seed))
