"""Handing an encoder to others: a safetensors file that says where it comes from."""

import hashlib
import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ponderv2.compat.safe_checkpoint import load_checkpoint_file

from .checkpoint_files import resolve_checkpoint

FORMAT = "ponderv2.encoder.v1"


def export_encoder(encoder: nn.Module, path: Path, recipe: str) -> str:
    """Write the encoder's weights, with the recipe's text and a hash of the weights in the header.

    Args:
        encoder: its own key names are used, without a prefix.
        path: `.safetensors` file to write; replaced in one step.
        recipe: text of the resolved configuration.

    Returns:
        The SHA-256 of the weights (names, types, shapes, bytes), hexadecimal.
    """
    weights = {name: value.detach().cpu().contiguous() for name, value in encoder.state_dict().items()}
    digest = weights_hash(weights)
    header = {"format": FORMAT, "recipe": recipe, "sha256": digest, "tensors": str(len(weights))}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(path.suffix + ".part")
    save_file(weights, part, metadata=header)
    part.replace(path)
    return digest


def read_encoder(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Weights and header of an exported encoder.

    Raises:
        FileNotFoundError: naming the file.
        ValueError: when it is no exported encoder, or the weights do not match the hash in its header.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"exported encoder {path} does not exist")
    with safe_open(path, framework="pt") as file:
        header = file.metadata() or {}
        if header.get("format") != FORMAT:
            raise ValueError(f"{path}: expected format {FORMAT} in its header, found {header.get('format')}")
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if weights_hash(weights) != header["sha256"]:
        raise ValueError(f"{path}: the weights do not match the hash in the header; the file is damaged")
    return weights, header


def read_encoder_weights(path: Path) -> dict[str, Tensor]:
    """Weights of the encoder alone, without a prefix, of an exported encoder or of a checkpoint with an encoder.

    Args:
        path: `.safetensors` file of `export_encoder`, or a checkpoint or work dir of training.

    Raises:
        FileNotFoundError, ValueError: the file is missing or damaged, or holds no encoder.
    """
    if path.suffix == ".safetensors":
        return read_encoder(path)[0]
    path = resolve_checkpoint(path)
    checkpoint = load_checkpoint_file(path)
    if not isinstance(checkpoint.get("state_dict"), dict):
        raise ValueError(f"{path}: expected a checkpoint with the key 'state_dict', found {sorted(checkpoint)}")
    weights = {k.removeprefix("encoder."): v for k, v in checkpoint["state_dict"].items() if k.startswith("encoder.")}
    if not weights:
        first = next(iter(checkpoint["state_dict"]), None)
        raise ValueError(f"{path}: no key of its state_dict starts with 'encoder.', the first is {first}")
    return weights


def weights_hash(weights: dict[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes, in the order of names."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].contiguous()
        digest.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode())
        # Byte views work for every dtype, bfloat16 included, which numpy does not know.
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
