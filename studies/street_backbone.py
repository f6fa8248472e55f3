"""The image backbone of a recipe with a classifier of pixels, to be trained on labeled pictures."""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from safetensors.torch import save_file
from torch import Tensor, nn

from ponderv2.atomic_files import replacing
from ponderv2.engine import load_config
from ponderv2.errors import UserError
from ponderv2.registry import MODELS
from ponderv2.shapes import Float

from .street_pictures import CLASSES

_CHANNELS = 48
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class LabeledBackbone(nn.Module):
    """An image backbone and a classifier on the sum of its maps, at the stride of the finest, 4 pixels.

    Args:
        backbone: a backbone that returns the maps of all its stages.
    """

    classes = CLASSES

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.lateral = nn.ModuleList(nn.Conv2d(width, _CHANNELS, 1) for width in backbone.channels)
        self.smooth = nn.Sequential(nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1), nn.ReLU())
        self.classifier = nn.Conv2d(_CHANNELS, len(CLASSES), 1)
        self.register_buffer("mean", torch.tensor(_MEAN).reshape(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).reshape(3, 1, 1), persistent=False)

    @staticmethod
    def of_recipe(recipe: Path) -> "LabeledBackbone":
        """Build the image backbone of a recipe, from random weights and with nothing frozen.

        Raises:
            UserError: the recipe has none.
        """
        encoder = load_config(recipe).get("model", {}).get("encoder", {})
        config = encoder.get("img_backbone") or encoder.get("camera", {}).get("img_backbone")
        if not isinstance(config, ConfigDict):
            raise UserError(f"{recipe}: model.encoder.img_backbone: expected an image backbone, found none")
        stages = range(max(config.get("out_indices", (0, 1, 2, 3))) + 1)
        return LabeledBackbone(MODELS.build(dict(config, out_indices=tuple(stages), frozen_stages=-1, weights=None)))

    def forward(self, pictures: Float[Tensor, "v 3 h w"]) -> Float[Tensor, "v c y x"]:
        """Compute features of cells of 4 pixels of RGB pictures in [0, 1], whose sides are multiples of 4."""
        deepest = self.backbone.strides[-1]
        height, width = pictures.shape[-2:]
        padded = F.pad((pictures - self.mean) / self.std, (0, -width % deepest, 0, -height % deepest))
        maps = [lateral(x) for lateral, x in zip(self.lateral, self.backbone(padded), strict=True)]
        total = maps[-1]
        for finer in reversed(maps[:-1]):
            total = F.interpolate(total, scale_factor=2.0, mode="bilinear", align_corners=False) + finer
        stride = self.backbone.strides[0]
        return self.smooth(total[..., : height // stride, : width // stride])

    def classify(self, features: Float[Tensor, "v c y x"]) -> Float[Tensor, "v k y x"]:
        """Compute the logits of the classes of cells."""
        return self.classifier(features)


def write_backbone(path: Path, net: LabeledBackbone, about: dict) -> None:
    """Write the weights of the backbone alone, as its option `weights` reads them; `about` is for people to read."""
    weights = {key: value.detach().cpu().contiguous() for key, value in net.backbone.state_dict().items()}
    with replacing(path) as unfinished:
        save_file(weights, unfinished, metadata={"about": json.dumps(about)})
