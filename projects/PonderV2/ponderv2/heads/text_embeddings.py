"""Embeddings of class names from the text tower of a CLIP model in a local folder."""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ponderv2.errors import UserError
from ponderv2.shapes import Float

CLIP_TEMPLATE = "a photo of a {}."
"""The prompt of CLIP's paper (Radford et al. 2021, §3.1.4). PonderV2's outdoor recipe gives the bare name, "{}"."""

_FILES = ("config.json", "model.safetensors")
_TOKENIZER_FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"))


@torch.no_grad()
def class_embeddings(folder: str | Path, classes: Sequence[str], template: str = CLIP_TEMPLATE) -> Float[Tensor, "k d"]:
    """Compute a unit vector for each class from its name.

    Args:
        folder: a CLIP model as transformers writes it: `config.json`, `model.safetensors` and the tokenizer's files.
            Nothing is fetched from elsewhere, and weights in pickles are not read.
        classes: names of the classes; underscores count as spaces.
        template: prompt with "{}" in the place of the name.

    Returns:
        Embeddings in the space that CLIP shares with images, float32, of length one.

    Raises:
        UserError: the folder or a file of it is missing, or cannot be read, or does not hold all of a text tower; or
            the template has no place for a name.
    """
    if template.count("{}") != 1:
        raise UserError(f"template: expected one {{}} in the place of the name of a class, got {template!r}")
    folder = Path(folder).expanduser()
    _check_files(folder)
    # Here, because it takes seconds to import and most models have no text.
    from transformers import CLIPTextModelWithProjection, CLIPTokenizer

    try:
        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        model, report = CLIPTextModelWithProjection.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
    except Exception as error:  # transformers, tokenizers and safetensors each have errors of their own
        raise UserError(f"text_model: {folder} does not hold a CLIP model that can be read: {error}") from error
    # transformers fills up with random weights what a file lacks.
    lacking = sorted(report["missing_keys"])
    if lacking:
        raise UserError(f"text_model: {folder} lacks {len(lacking)} tensors of CLIP's text tower, first {lacking[0]}")
    prompts = [template.format(name.replace("_", " ")) for name in classes]
    tokens = tokenizer(prompts, padding=True, truncation=True, return_tensors="pt")
    return F.normalize(model.eval()(**tokens).text_embeds, dim=-1)


def _check_files(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(
            f"text_model: {folder} is no folder; expected a CLIP model as transformers writes it, with "
            f"{', '.join(_FILES)} and its tokenizer"
        )
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if not any(all((folder / name).is_file() for name in names) for names in _TOKENIZER_FILES):
        missing.append("tokenizer.json (or vocab.json and merges.txt)")
    if missing:
        raise UserError(f"text_model: the folder {folder} has no {', no '.join(missing)}")
