"""Models of recipes with random weights, which need neither files nor a network."""

from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict
from torch import nn

from ponderv2.errors import UserError
from ponderv2.registry import MODELS
from ponderv2.teachers import ImageTeacher, RandomTeacher, StreetTeacher, VisionTransformerTeacher
from ponderv2.teachers.vision_transformer import PatchFeatures

DINOV2 = {"dinov2-small": (384, 12, 6), "dinov2-base": (768, 12, 12), "dinov2-large": (1024, 24, 16)}
"""Width, layers and heads by the last part of the hub id (DINOv2, arXiv 2304.07193, table 17)."""


class RandomDINOv2(ImageTeacher):
    """A DINOv2 of a published size with random weights, in the place of one that has to be downloaded.

    Args:
        name: hub id, whose last part is a key of `DINOV2`.
        stride: as of `VisionTransformerTeacher`.
    """

    def __init__(self, name: str, stride: int | None = None) -> None:
        # Here, because it takes seconds to import.
        from transformers import Dinov2Config, Dinov2Model

        width, layers, heads = DINOV2[name.rpartition("/")[2]]
        sizes = dict(hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads)
        model = Dinov2Model(Dinov2Config(**sizes, image_size=518, patch_size=14))
        super().__init__(PatchFeatures(model, "dinov2", (0.5,) * 3, (0.5,) * 3), width, 14, stride or 14)


def start_at_random(config: Config) -> None:
    """Take out of a recipe, in place, all weights that come from files or a hub.

    Raises:
        UserError: the recipe has no encoder, as those of stock mmdet3d models; or its teacher has no known size.
    """
    if "encoder" not in config.model:
        raise UserError(f"recipe {config.filename}: expected a model with an encoder, as those of this project have")
    config.model.update(init_cfg=None)
    for encoder in (config.model.encoder, config.model.encoder.get("camera", {})):
        if "img_backbone" in encoder:
            encoder.img_backbone.weights = None
    branch = config.model.get("image_branch")
    if branch is not None:
        # `update` would keep what only the old teacher takes.
        branch.cache, branch.teacher = None, _random_teacher(branch.teacher)


def build_at_random(config: Config) -> nn.Module:
    """Build the model of a recipe that `start_at_random` has changed, with the reduction of its teacher fitted."""
    model = MODELS.build(config.model)
    model.init_weights()
    branch = getattr(model, "image_branch", None)
    if branch is not None:
        branch.fit_reduction(torch.rand(1, 3, 448, 448))
    return model


def _random_teacher(teacher: ConfigDict) -> dict:
    """Return the config of a teacher of the same size; a vision transformer in a folder stays as it is."""
    kind = MODELS.get(teacher.type) if isinstance(teacher.type, str) else teacher.type
    if kind is StreetTeacher:
        return dict(type=RandomTeacher, **{key: teacher[key] for key in ("stride",) if key in teacher})
    if kind is not VisionTransformerTeacher or Path(teacher.name).expanduser().is_dir():
        return teacher
    if str(teacher.name).rpartition("/")[2] not in DINOV2:
        raise UserError(
            f"model.image_branch.teacher.name: expected a folder or one of {', '.join(DINOV2)}, whose sizes are known "
            f"without a download, got {teacher.name}"
        )
    return dict(teacher, type=RandomDINOv2)
