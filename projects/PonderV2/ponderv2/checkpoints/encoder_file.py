"""The file that hands an encoder to others: safetensors, with everything that is needed to build it in the header."""

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ponderv2.atomic_files import replacing
from ponderv2.compat.safe_checkpoint import load_checkpoint_file
from ponderv2.errors import UserError

from .allow_list import MAX_HEADER_CHARACTERS
from .checkpoint_files import resolve_checkpoint
from .writing import weights_hash

FORMAT = "ponderv2.encoder.v2"


@dataclass(frozen=True)
class EncoderHeader:
    """The header of an encoder file.

    Attributes:
        encoder: config of the encoder as plain values, see `encoder_config`.
        preprocessor: config of the preprocessor as plain values.
        sha256: hash of the weights, see `weights_hash`.
        tensors: number of tensors in the file.
        version: version of this package that wrote the file.
        name: name of the recipe.
        recipe: text of the resolved recipe, for people to read. Nothing executes it.
        cost: what the training cost, see `CostHook`; empty where that is not known, as in files of before.
    """

    encoder: dict
    preprocessor: dict
    sha256: str
    tensors: int
    version: str
    name: str
    recipe: str
    cost: dict = field(default_factory=dict)

    def to_metadata(self) -> dict[str, str]:
        """Return the header as texts by key, which is what safetensors stores."""
        texts = {k: v if isinstance(v, str) else json.dumps(v, allow_nan=False) for k, v in vars(self).items()}
        return {"format": FORMAT} | texts

    @staticmethod
    def from_metadata(metadata: dict[str, str], where: str) -> "EncoderHeader":
        """Read the header; its two configs are read as JSON, but not checked yet.

        Raises:
            ValueError: the format is another one, a key is missing or unknown, or a value is not of its kind.
        """
        if metadata.get("format") != FORMAT:
            raise UserError(
                f"{where}: expected format {FORMAT} in its header, found {metadata.get('format')}; "
                "export it again with ponderv2.checkpoints.export_encoder"
            )
        metadata = {"cost": "{}", **metadata}
        keys = EncoderHeader.__dataclass_fields__.keys()
        if metadata.keys() != keys | {"format"}:
            wrong = sorted(metadata.keys() ^ (keys | {"format"}))[0]
            raise UserError(f"{where}: header key {wrong!r} is {'unknown' if wrong in metadata else 'missing'}")
        values = {k: metadata[k] for k in keys}
        for key, kind in {"encoder": dict, "preprocessor": dict, "tensors": int, "cost": dict}.items():
            values[key] = _parsed(values[key], kind, f"{where}: header key {key!r}")
        return EncoderHeader(**values)


def write_encoder(path: Path, weights: dict[str, Tensor], header: EncoderHeader) -> None:
    """Write weights and header, replacing `path` in one step."""
    with replacing(path) as unfinished:
        save_file(weights, unfinished, metadata=header.to_metadata())


def read_header(path: Path) -> tuple[EncoderHeader, dict[str, Tensor]]:
    """Read the header, and the names and shapes of the weights as tensors without memory.

    Raises:
        FileNotFoundError: naming the file.
        ValueError: the file is cut short, or is no encoder file.
    """
    with _opened(path) as (file, header):
        shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    return header, {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def read_encoder(path: Path) -> tuple[dict[str, Tensor], EncoderHeader]:
    """Read the weights and the header.

    Raises:
        FileNotFoundError: naming the file.
        ValueError: the file is cut short or no encoder file, or its weights do not match the hash in its header.
    """
    with _opened(path) as (file, header):
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if len(weights) != header.tensors or weights_hash(weights) != header.sha256:
        raise UserError(f"{path}: the weights do not match the hash in the header; the file is damaged")
    return weights, header


def read_encoder_weights(path: Path) -> dict[str, Tensor]:
    """Read the weights of the encoder alone, without a prefix, from an encoder file or from a checkpoint.

    Args:
        path: `.safetensors` file of `export_encoder`, or a checkpoint or work dir of a model with an encoder.

    Raises:
        FileNotFoundError, ValueError: the file is missing or damaged, or holds no encoder.
    """
    if path.suffix == ".safetensors":
        return read_encoder(path)[0]
    path = resolve_checkpoint(path)
    return encoder_weights_of(load_checkpoint_file(path), path)


def encoder_weights_of(checkpoint: dict, path: Path) -> dict[str, Tensor]:
    """Return the weights of the encoder alone, without a prefix, of a checkpoint that was read.

    Raises:
        UserError: there is no encoder in it; `path` is the file, for the message.
    """
    if not isinstance(checkpoint.get("state_dict"), dict):
        raise UserError(f"{path}: expected a checkpoint with the key 'state_dict', found {sorted(checkpoint)}")
    weights = {k.removeprefix("encoder."): v for k, v in checkpoint["state_dict"].items() if k.startswith("encoder.")}
    if not weights:
        first = next(iter(checkpoint["state_dict"]), None)
        raise UserError(f"{path}: no key of its state_dict starts with 'encoder.', the first is {first}")
    return weights


@contextmanager
def _opened(path: Path) -> Iterator[tuple[safe_open, EncoderHeader]]:
    if not Path(path).is_file():
        raise FileNotFoundError(f"encoder file {path} does not exist")
    try:
        with safe_open(path, framework="pt") as file:
            yield file, EncoderHeader.from_metadata(file.metadata() or {}, str(path))
    except SafetensorError as error:
        if zipfile.is_zipfile(path):
            made = f"make it by tools/export_encoder.py RECIPE {path}"
            raise UserError(f"{path}: is a checkpoint, expected an exported encoder; {made}") from error
        raise UserError(f"{path}: no whole safetensors file ({error}); copy or export it again") from error


def _parsed(text: str, kind: type, where: str) -> object:
    if len(text) > MAX_HEADER_CHARACTERS:
        raise UserError(f"{where}: expected at most {MAX_HEADER_CHARACTERS} characters, found {len(text)}")
    try:
        # Python also reads NaN and infinity, which are no JSON; the check of the config refuses them by name.
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: expected JSON, {error}") from error
    if not isinstance(value, kind):
        raise UserError(f"{where}: expected a {kind.__name__}, found {text[:40]}")
    return value
