"""Vision transformers of `transformers` as image teachers: DINOv2, DINOv3, SigLIP and CLIP, by folder or hub id."""

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from ponderv2.errors import UserError
from ponderv2.registry import MODELS
from ponderv2.shapes import Float

from .image_teacher import ImageTeacher

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

FAMILIES = {
    "dinov2": ("Dinov2Model", _IMAGENET),
    "dinov2_with_registers": ("Dinov2WithRegistersModel", _IMAGENET),
    "dinov3_vit": ("DINOv3ViTModel", _IMAGENET),
    "siglip": ("SiglipVisionModel", _HALF),
    "siglip_vision_model": ("SiglipVisionModel", _HALF),
    "clip": ("CLIPVisionModel", _CLIP),
    "clip_vision_model": ("CLIPVisionModel", _CLIP),
}
"""By `model_type` of a folder's config: the class of `transformers`, and mean and deviation of its pictures' colors
where the folder does not tell (those of the published preprocessors)."""

_INTERPOLATES_ON_REQUEST = ("siglip", "clip")


class PatchFeatures(nn.Module):
    """The features that the last layer of a vision transformer has for the patches of a picture, as a map.

    Args:
        model: vision model of `transformers`, whose last tokens are those of the patches, row by row.
        family: its `model_type`.
        mean: mean of each RGB channel, in [0, 1].
        std: standard deviation of each RGB channel.
    """

    def __init__(self, model: nn.Module, family: str, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.model, self.patch = model, int(model.config.patch_size)
        # Others always fit their places to the picture.
        self._options = {"interpolate_pos_encoding": True} if family.startswith(_INTERPOLATES_ON_REQUEST) else {}
        self.register_buffer("mean", torch.tensor(mean).reshape(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(3, 1, 1), persistent=False)

    def forward(self, pictures: Float[Tensor, "v 3 h w"]) -> Float[Tensor, "v c y x"]:
        """Compute the map of RGB pictures in [0, 1], whose sides are multiples of the patch."""
        rows, columns = (side // self.patch for side in pictures.shape[-2:])
        normed = (pictures - self.mean) / self.std
        tokens = self.model(pixel_values=normed, **self._options).last_hidden_state
        # Class and register tokens come first.
        return tokens[:, -rows * columns :].transpose(1, 2).unflatten(2, (rows, columns))


@MODELS.register_module()
class VisionTransformerTeacher(ImageTeacher):
    """A vision transformer of `transformers`: DINOv2, DINOv3, or the vision tower of SigLIP or CLIP.

    Args:
        name: folder as transformers writes it (`config.json`, `model.safetensors`, and `preprocessor_config.json` for
            the colors if there is one), or the id of a repository of the hub, such as "facebook/dinov2-small". Weights
            in pickles are not read, and no code that comes with a model is run.
        stride: width of a cell, pixels, see `ImageTeacher`; None is the patch of the model.

    Raises:
        UserError: there is no such folder, or the hub cannot be reached and its cache lacks the model; the model is of
            another family; or its file lacks weights or cannot be read.
    """

    def __init__(self, name: str | Path, stride: int | None = None) -> None:
        network = _load(name)
        width = int(network.model.config.hidden_size)
        super().__init__(network, width, network.patch, network.patch if stride is None else stride)


def _load(name: str | Path) -> PatchFeatures:
    # Here, because it takes seconds to import.
    import transformers

    folder = Path(name).expanduser()
    local = folder.is_dir()
    source = folder if local else str(name)
    try:
        config = transformers.AutoConfig.from_pretrained(source, local_files_only=local)
        family = config.model_type
        if family not in FAMILIES:
            raise UserError(f"teacher {name}: expected a model of {sorted(FAMILIES)}, its config says {family!r}")
        kind, colors = FAMILIES[family]
        model, report = getattr(transformers, kind).from_pretrained(
            source,
            local_files_only=local,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except UserError:
        raise
    except Exception as error:  # transformers, the hub's client and safetensors each have errors of their own
        raise UserError(
            f"teacher {name}: neither a folder with a vision model that can be read nor a model that the hub hands "
            f"out: {error}"
        ) from error
    # transformers fills up with random weights what a file lacks.
    lacking = sorted(report["missing_keys"])
    if lacking:
        raise UserError(f"teacher {name}: its file lacks {len(lacking)} tensors of {kind}, first {lacking[0]}")
    return PatchFeatures(model, family, *((_colors_of(folder) if local else None) or colors))


def _colors_of(folder: Path) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Read mean and deviation of the colors from the config of the preprocessor; None where there is none."""
    path = folder / "preprocessor_config.json"
    if not path.is_file():
        return None
    try:
        config = json.loads(path.read_text())
        found = tuple(tuple(float(value) for value in config[key]) for key in ("image_mean", "image_std"))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: expected JSON with image_mean and image_std, three numbers each: {error}") from error
    if any(len(values) != 3 for values in found) or min(found[1]) <= 0:
        raise UserError(f"{path}: expected three numbers each in image_mean and image_std, got {found}")
    return found
