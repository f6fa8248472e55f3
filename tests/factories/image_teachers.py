"""Tiny image teachers with random weights, and vision transformers in folders as transformers writes them."""

from pathlib import Path

import torch
import transformers

from ponderv2.registry import MODELS
from ponderv2.teachers import ImageTeacher, StreetNet, write_street_net


def random_street_teacher(folder: Path, channels: int = 12) -> Path:
    """Write a street teacher that has learned nothing."""
    torch.manual_seed(0)
    path = folder / "street_teacher.safetensors"
    write_street_net(path, StreetNet(("road", "car", "sky"), channels, (8, 8, 8, 8)), {})
    return path


@MODELS.register_module()
class PixelTeacher(ImageTeacher):
    """Cells of 4 pixels, each with fixed random combinations of its pixels' colors."""

    def __init__(self, channels: int = 8, seed: int = 0) -> None:
        torch.manual_seed(seed)
        super().__init__(torch.nn.Conv2d(3, channels, 4, stride=4), channels, 4, 4)


def vision_folder(folder: Path, family: str) -> Path:
    """Write a vision transformer of two layers with patches of 4 pixels."""
    torch.manual_seed(0)
    sizes = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=16, patch_size=4)
    wide = dict(sizes, intermediate_size=32)
    models = {
        "dinov2": lambda: transformers.Dinov2Model(transformers.Dinov2Config(**sizes)),
        "dinov2_with_registers": lambda: transformers.Dinov2WithRegistersModel(
            transformers.Dinov2WithRegistersConfig(**sizes, num_register_tokens=3)
        ),
        "dinov3_vit": lambda: transformers.DINOv3ViTModel(transformers.DINOv3ViTConfig(**wide, num_register_tokens=2)),
        "siglip_vision_model": lambda: transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**wide)),
        "clip_vision_model": lambda: transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**wide)),
    }
    path = folder / family
    models[family]().save_pretrained(path)
    return path
