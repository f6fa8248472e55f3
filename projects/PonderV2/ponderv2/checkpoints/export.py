"""From a trained encoder and its config to a file that needs neither."""

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from ponderv2 import __version__
from ponderv2.errors import UserError

from .coverage import compare
from .encoder_config import build_encoder, build_preprocessor, config_from_data, config_to_data
from .encoder_file import EncoderHeader, write_encoder
from .writing import weights_hash


def export_encoder(
    encoder: nn.Module,
    path: Path | str,
    config: Mapping,
    preprocessor: Mapping,
    recipe: str = "",
    name: str = "",
    cost: Mapping[str, float | int | str] | None = None,
) -> str:
    """Write an encoder to one file, from which `ponderv2.load_encoder` makes it again.

        model = MODELS.build(recipe.model)
        export_encoder(model.encoder, "encoder.safetensors", recipe.model.encoder, recipe.model.data_preprocessor)

    Args:
        encoder: the file has its key names, without a prefix.
        path: `.safetensors` file to write; it is replaced in one step.
        config: the config that the encoder was built from.
        preprocessor: the config of the model's data preprocessor.
        recipe: text of the resolved recipe, for people to read.
        name: name of the recipe.
        cost: what its training cost, see `CostHook`; None where that is not known.

    Returns:
        The SHA-256 of the weights (names, types, shapes, bytes), hexadecimal.

    Raises:
        ValueError: a config cannot be stored, or does not build this encoder; nothing is written then.
    """
    path = Path(path)
    stored = config_to_data(config, "encoder", "encoder")
    stored_preprocessor = config_to_data(preprocessor, "preprocessor", "data_preprocessor")
    build_preprocessor(config_from_data(stored_preprocessor, "preprocessor", "data_preprocessor"), "data_preprocessor")
    built = build_encoder(config_from_data(stored, "encoder", "encoder"), "meta", "encoder").state_dict()
    weights = {key: value.detach().cpu().contiguous() for key, value in encoder.state_dict().items()}
    problems = compare(built, weights).problems()
    if problems:
        raise UserError(f"{path} is not written, its config builds another encoder: {problems}")
    header = EncoderHeader(
        encoder=stored,
        preprocessor=stored_preprocessor,
        sha256=weights_hash(weights),
        tensors=len(weights),
        version=__version__,
        name=name,
        recipe=recipe,
        cost=dict(cost or {}),
    )
    write_encoder(path, weights, header)
    return header.sha256
