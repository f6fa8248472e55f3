"""Describing the key frames of a data set with a trained model, for retrieval."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset, pseudo_collate
from torch import Tensor, nn

from ponderv2.checkpoints import load_weights, resolve_checkpoint
from ponderv2.checkpoints.encoder_file import read_encoder
from ponderv2.checkpoints.writing import weights_hash
from ponderv2.devices import usable_device
from ponderv2.errors import UserError
from ponderv2.models import ImageFeaturePretrainer, RenderingPretrainer
from ponderv2.registry import DATASETS, MODELS
from ponderv2.retrieval import (
    Describer,
    DescriptorSettings,
    PlaceFeatures,
    TextSpace,
    check_text_model,
    height_features,
    image_features,
    lidar_features,
)
from ponderv2.shapes import Float, UInt8
from ponderv2.structures import SensorBatch

from .launch import load_config
from .recipe_datasets import innermost_dataset
from .recipe_errors import must_have, recipe_errors
from .recipe_options import parse_options

CHANNELS = ("image", "volume", "text", "height")
"""Which features a model may describe places by, the values of `PlaceDescriber.channels`."""


@dataclass(frozen=True)
class PlaceDescriber:
    """A trained model that describes key frames.

    Attributes:
        model: the model, in eval mode.
        encoder: hash of its weights.
        config: its recipe.
        channels: features that are pooled: "image" are those of the image branch, "volume" the volume's own, "text"
            those of the image branch in the space of `text`, "height" the heights of cells with points alone.
        text: space of the texts; None unless it is asked for.
    """

    model: RenderingPretrainer
    encoder: str
    config: Config
    channels: str
    text: TextSpace | None = None

    @torch.no_grad()
    def features(self, example: dict, modality: str) -> PlaceFeatures:
        """Compute the features around the car of a packed key frame, by "lidar" or by "image"."""
        data = self.model.data_preprocessor(pseudo_collate([example]))
        if modality == "image":
            return self._told(image_features(self.model, data["inputs"], data["data_samples"])[0])
        return self._of_lidar(data["inputs"])

    @torch.no_grad()
    def of_points(self, points: Float[Tensor, "p 5"]) -> PlaceFeatures:
        """Compute the features of a sweep alone: x, y, z (metres), intensity, and a column that becomes 0."""
        points[:, 4] = 0.0
        batch = self.model.data_preprocessor({"inputs": {"points": [points]}})["inputs"]
        return self._of_lidar(batch)

    @torch.no_grad()
    def of_picture(self, picture: UInt8[Tensor, "h w 3"]) -> PlaceFeatures:
        """Compute the features of one RGB picture, without the places of its cells, which no calibration tells."""
        if not isinstance(self.model, ImageFeaturePretrainer):
            raise UserError(f"retrieval by images: a {type(self.model).__name__} has no image branch")
        device = next(self.model.parameters()).device
        scaled = picture.permute(2, 0, 1)[None, None].to(device).float() / 255
        features = self.model.image_branch(scaled, [None]).target[0, 0].flatten(1).t()
        return self._told(PlaceFeatures(features.new_zeros(len(features), 3), features))

    def _of_lidar(self, batch: SensorBatch) -> PlaceFeatures:
        if self.channels == "height":
            return height_features(batch.points[0], self.model.encoder.grid)
        return self._told(lidar_features(self.model, batch, "volume" if self.channels == "volume" else "image")[0])

    def _told(self, around: PlaceFeatures) -> PlaceFeatures:
        return around if self.text is None else replace(around, features=self.text(around.features))

    def describer(self, settings: DescriptorSettings) -> Describer:
        """Return what made the descriptors of some settings."""
        return Describer(settings, self.encoder, channels=self.channels)


def load_describer(
    recipe: Path,
    checkpoint: Path | None,
    data_root: Path | None = None,
    changes: Sequence[str] = (),
    channels: str | None = None,
    device: str | None = None,
    text_model: Path | None = None,
) -> PlaceDescriber:
    """Load the model of a pre-training.

    Args:
        recipe: recipe of the pre-training.
        checkpoint: checkpoint of it, its work dir, or its exported encoder; not read, and may be None, for "height".
        data_root: folder of the data.
        changes: changes to the recipe, `key=value`.
        channels: "image", "volume", "text" or "height"; None is "image" where the checkpoint has features of images,
            else "volume".
        device: device; None is a GPU where there is one.
        text_model: folder of the CLIP or SigLIP model whose vision tower is the teacher, for "text".

    Raises:
        UserError: the recipe is no pre-training, the checkpoint is of another one, or there are no such channels.
    """
    config = load_config(recipe, data_root, parse_options(list(changes)))
    must_have(config, ("model", "test_dataloader"), "describe places with")
    if (channels == "text") != (text_model is not None):
        raise UserError("--text-model: expected with --channels text, and with no others")
    if text_model is not None:
        check_text_model(text_model, (config.model.get("image_branch") or {}).get("teacher") or {})
    exported = checkpoint is not None and checkpoint.suffix == ".safetensors"
    with recipe_errors(recipe, "cannot be built", changes):
        model = MODELS.build(_without_branch(config.model) if exported or channels == "height" else config.model)
    if not isinstance(model, RenderingPretrainer):
        raise UserError(f"{recipe}: expected the recipe of a pre-training, found a {type(model).__name__}")
    if channels == "height":
        # Nothing but the grid decides what it tells.
        encoder = hashlib.sha256(f"heights {model.encoder.grid}".encode()).hexdigest()
    elif exported:
        model.encoder.load_state_dict(_fitting(model.encoder, read_encoder(checkpoint)[0], checkpoint))
        encoder = weights_hash(model.encoder.state_dict())
    else:
        load_weights(model, resolve_checkpoint(checkpoint))
        encoder = model_hash(model)
    has_images = isinstance(model, ImageFeaturePretrainer) and not exported
    channels = channels or ("image" if has_images else "volume")
    if channels in ("image", "text") and not has_images:
        raise UserError(
            f"--channels {channels}: {checkpoint} has no features of images; expected a checkpoint of a recipe with "
            "ImageFeaturePretrainer"
        )
    text = None if text_model is None else TextSpace(text_model, model.image_branch).to(usable_device(device))
    return PlaceDescriber(model.to(usable_device(device)).eval(), encoder, config, channels, text)


def _without_branch(model: ConfigDict) -> dict:
    """Return a pre-training without its image branch: an exported encoder has none, so no teacher's file is needed."""
    if "image_branch" not in model:
        return model
    kept = {name: value for name, value in model.items() if name not in ("image_branch", "keypoints")}
    return kept | {"type": RenderingPretrainer}


def model_hash(model: RenderingPretrainer) -> str:
    """Return the hash of a model's weights, and of its teacher, which no checkpoint holds; hexadecimal."""
    own = weights_hash(model.state_dict())
    if not isinstance(model, ImageFeaturePretrainer):
        return own
    return hashlib.sha256(f"{own} {model.image_branch.fingerprint}".encode()).hexdigest()


def build_dataset(config: Config, recipe: Path, info_files: Sequence[str]) -> BaseDataset:
    """Make the data set of a recipe's test loader, of other info files where some are given."""
    dataset = innermost_dataset(config.test_dataloader)[1].copy()
    if info_files:
        dataset["ann_file"] = list(info_files)
    with recipe_errors(recipe, "cannot be built"):
        built = DATASETS.build(dataset)
    if not len(built):
        raise UserError(f"{recipe}: the data set has no key frames")
    return built


def _fitting(encoder: nn.Module, weights: dict, path: Path) -> dict:
    own = encoder.state_dict()
    wrong = sorted(own.keys() ^ weights.keys()) or [n for n, v in own.items() if v.shape != weights[n].shape]
    if wrong:
        raise UserError(f"{path}: is no encoder of this recipe, first at {wrong[0]}")
    return weights
