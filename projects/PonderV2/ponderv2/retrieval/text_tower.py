"""Places that a sentence describes: features in the space that CLIP or SigLIP shares between pictures and texts."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ponderv2.errors import UserError
from ponderv2.shapes import Float
from ponderv2.teachers import FrozenImageBranch, VisionTransformerTeacher

_FAMILIES = {"clip": ("CLIPModel", "CLIPTextModelWithProjection"), "siglip": ("SiglipModel", "SiglipTextModel")}
"""By `model_type` of the folder's config: the classes of `transformers` for the whole model and for its text tower."""


class TextSpace(nn.Module):
    """Takes features of an image branch into the space of texts.

    The reduction of the branch is undone as far as its components go; each feature then goes through what the model has
    for the whole picture: the last norm and the projection of CLIP, the pooling of SigLIP over this feature alone.

    Args:
        folder: CLIP or SigLIP model as transformers writes it, with both towers. Weights in pickles are not read.
        branch: image branch whose teacher is the vision tower of this model.

    Raises:
        UserError: the folder holds no such model, or its vision tower is not the teacher of the branch.
    """

    def __init__(self, folder: Path, branch: FrozenImageBranch) -> None:
        super().__init__()
        own = VisionTransformerTeacher(folder, stride=branch.cells.stride)
        if own.fingerprint != branch.fingerprint:
            raise UserError(f"--text-model {folder}: its vision tower is not the teacher of this model")
        model = _load(folder, 0)
        self.family, self.vision = model.config.model_type, model.vision_model
        self.projection = model.visual_projection if self.family == "clip" else None
        self.register_buffer("decoder", torch.linalg.pinv(branch.reduction.components.double()).float())
        self.register_buffer("mean", branch.reduction.mean.clone())
        self.requires_grad_(False).eval()

    def forward(self, features: Float[Tensor, "p c"]) -> Float[Tensor, "p d"]:
        """Compute the features, in the channels of texts, of features in the channels of the image branch."""
        decoded = features.float() @ self.decoder.t() + self.mean
        if self.family == "clip":
            return self.projection(self.vision.post_layernorm(decoded))
        return self.vision.head(decoded[:, None])


def check_text_model(folder: Path, teacher: Mapping) -> None:
    """Refuse a model whose vision tower cannot be a teacher, by the configs alone: weights take a minute to read.

    Args:
        folder: CLIP or SigLIP model.
        teacher: config of the teacher of an image branch, with `name` where it is a vision transformer.

    Raises:
        UserError: the folder holds no such model, or one of other sizes than the teacher.
    """
    own = _read_config(folder, f"--text-model {folder}")
    family = own.get("model_type")
    if family not in _FAMILIES:
        raise UserError(
            f"--text-model {folder}: expected a model with a text tower, {' or '.join(sorted(_FAMILIES))}, its config "
            f"says {family!r}"
        )
    name = teacher.get("name")
    if name is None:
        raise UserError(
            f"--text-model {folder}: the teacher of this recipe is no vision transformer; pre-train with the vision "
            "tower of this model (model.image_branch.teacher)"
        )
    if not Path(name).expanduser().is_dir():
        return
    theirs = _read_config(Path(name).expanduser(), f"model.image_branch.teacher.name {name}")
    towers = [config.get("vision_config", config) for config in (own, theirs)]
    for key in ("hidden_size", "num_hidden_layers", "patch_size", "image_size"):
        sizes = [tower.get(key) for tower in towers]
        if None not in sizes and sizes[0] != sizes[1]:
            raise UserError(
                f"--text-model {folder}: its vision tower is not the teacher of this model, {name}: {key} is "
                f"{sizes[0]} instead of {sizes[1]}"
            )


def _read_config(folder: Path, where: str) -> dict:
    path = folder / "config.json"
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{where}: cannot read config.json: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("vision_config", {}), dict):
        raise UserError(f"{where}: config.json: expected an object")
    return content


@torch.no_grad()
def sentence_vector(folder: Path, sentence: str) -> Float[Tensor, "n"]:
    """Compute the vector of a sentence by which places of the layout "whole" are found.

    It has twice the channels of the text tower, as descriptors have what is above 0 and what is below 0 apart: their
    scalar product is that of the sentence with the difference of both.

    Raises:
        UserError: the folder holds no CLIP or SigLIP model with a text tower and a tokenizer.
    """
    from transformers import AutoTokenizer

    model = _load(folder, 1)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        # SigLIP was trained with all sentences filled up.
        padding = "max_length" if model.config.model_type.startswith("siglip") else True
        tokens = tokenizer([sentence], padding=padding, truncation=True, return_tensors="pt")
    except Exception as error:  # tokenizers have errors of their own
        raise UserError(f"--text-model {folder}: has no tokenizer that can be read: {error}") from error
    tokens = {name: tokens[name] for name in ("input_ids", "attention_mask") if name in tokens}
    if model.config.model_type.startswith("siglip"):
        # It attends to the filling as well.
        text = model(input_ids=tokens["input_ids"]).pooler_output[0]
    else:
        text = model(**tokens).text_embeds[0]
    return F.normalize(torch.cat([text, -text]), dim=0)


def _load(folder: Path, part: int) -> nn.Module:
    # Here, because it takes seconds to import.
    import transformers

    try:
        family = transformers.AutoConfig.from_pretrained(folder, local_files_only=True).model_type
        if family not in _FAMILIES:
            raise UserError(
                f"--text-model {folder}: expected a model with a text tower, {' or '.join(sorted(_FAMILIES))}, its "
                f"config says {family!r}"
            )
        kind = getattr(transformers, _FAMILIES[family][part])
        model, report = kind.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
    except UserError:
        raise
    except Exception as error:  # transformers and safetensors each have errors of their own
        raise UserError(f"--text-model {folder}: does not hold a model that can be read: {error}") from error
    # transformers fills up with random weights what a file lacks.
    lacking = sorted(report["missing_keys"])
    if lacking:
        raise UserError(f"--text-model {folder}: its file lacks {len(lacking)} tensors, first {lacking[0]}")
    return model.eval()
