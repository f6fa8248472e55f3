"""The encoder of a training that did not end: from a checkpoint to the file that `EncoderExportHook` writes."""

from pathlib import Path

from ponderv2.checkpoints import export_encoder, load_weights, resolve_checkpoint
from ponderv2.errors import UserError
from ponderv2.registry import MODELS

from .launch import load_config
from .recipe_errors import must_have, recipe_errors
from .recipe_options import parse_options
from .resolved_recipe import resolved_recipe


def export_checkpoint(
    recipe: Path, checkpoint: Path, out: Path | None = None, changes: list[str] | None = None
) -> Path:
    """Export the encoder of a checkpoint.

    Args:
        recipe: the recipe that was trained, of a pre-training or a detector.
        checkpoint: checkpoint of it, or the work dir with one.
        out: file to write, `.safetensors`; None is `encoder.safetensors` beside the checkpoint.
        changes: changes to the recipe, `key=value`, which the training had.

    Returns:
        The file.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        UserError: the checkpoint is not of this recipe, or the model's encoder cannot be exported.
    """
    if out is not None and out.suffix != ".safetensors":
        raise UserError(f"--out {out}: expected a file *.safetensors")
    changes = changes or []
    config = load_config(recipe, options=parse_options(changes))
    must_have(config, ("model",), "export")
    if config.model.get("encoder") is None:
        raise UserError(f"recipe {recipe} has no model.encoder, so there is nothing to export")
    path = resolve_checkpoint(checkpoint)
    with recipe_errors(recipe, "cannot be built", changes):
        model = MODELS.build(config.model)
    load_weights(model, path)
    out = out or path.parent / "encoder.safetensors"
    export_encoder(
        model.encoder,
        out,
        config.model.encoder,
        config.model.get("data_preprocessor") or config.get("data_preprocessor"),
        recipe=resolved_recipe(config).pretty_text,
        name=recipe.stem,
    )
    return out
