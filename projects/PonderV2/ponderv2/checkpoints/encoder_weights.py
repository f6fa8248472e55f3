"""A fine-tuned model starts from the encoder of another model."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.logging import MMLogger
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from ponderv2.errors import UserError

from .coverage import coverage_table, shortcomings
from .encoder_file import read_encoder_weights

PREFIX = "encoder."


def load_encoder_weights(
    model: nn.Module, path: Path | str, new: Sequence[str] = (), parts: Sequence[str] | None = None
) -> None:
    """Load the encoder of a checkpoint into `model.encoder`, and log which part of it the checkpoint covers.

    Args:
        model: has an `encoder`; the rest of it is left as it is.
        path: an exported `encoder.safetensors`, or a checkpoint or work dir of any model with an encoder.
        new: parts of the encoder that may be missing and then start new, as `("convs",)` for the convolutions that
            published fine-tuning puts after the lift.
        parts: parts that are taken, as `("img_backbone", "img_neck")` for another view transform; the others start new,
            and what else the file has is left out. None takes all.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: the file's encoder does not cover this one, or the parts of it that are taken; nothing is loaded
            then.
    """
    weights = read_encoder_weights(Path(path))
    table, wrong = compare_encoder(model, weights, new, parts)
    console = Console(width=100)
    with console.capture() as capture:
        console.print(table)
    MMLogger.get_current_instance().info("encoder from %s\n%s", path, capture.get())
    if wrong:
        raise UserError(f"{path} does not cover this model's encoder, nothing was loaded: " + "; ".join(wrong))
    taken, _ = _taken(model.encoder, weights, new, parts)
    model.load_state_dict({PREFIX + k: v for k, v in taken.items()}, strict=False)


def _taken(
    encoder: nn.Module, weights: Mapping[str, Tensor], new: Sequence[str], parts: Sequence[str] | None
) -> tuple[dict[str, Tensor], list[str]]:
    """Return the weights that the encoder takes, and the parts of it that start new."""
    if parts is None:
        return dict(weights), list(new)
    if new:
        raise UserError(f"new: {tuple(new)} does not go with parts, which say what does not start new")
    own, given = ({name.split(".")[0] for name in names} for names in (encoder.state_dict(), weights))
    for part in parts:
        for known, where in ((own, "the encoder has"), (given, "the file has")):
            if part not in known:
                raise UserError(f"parts: {where} no part {part!r}, only {', '.join(sorted(known))}")
    return {k: v for k, v in weights.items() if k.split(".")[0] in parts}, sorted(own - set(parts))


def compare_encoder(
    model: nn.Module, weights: Mapping[str, Tensor], new: Sequence[str] = (), parts: Sequence[str] | None = None
) -> tuple[Table, list[str]]:
    """Compare the encoder of a model with weights; nothing is loaded.

    Args:
        model: has an `encoder`.
        weights: weights of an encoder by name, without a prefix.
        new: parts of the model's encoder that may be missing.
        parts: parts that are compared; the others may be missing, and what else the weights have does not count. None
            compares all.

    Returns:
        A table to print, and in words what keeps the weights from covering the encoder; no words where they cover it.

    Raises:
        UserError: `new` or `parts` names a part that the encoder, or the weights, do not have, or both are given.
    """
    weights, new = _taken(model.encoder, weights, new, parts)
    weights = {PREFIX + k: v for k, v in weights.items()}
    own = model.state_dict()
    new = tuple(PREFIX + part for part in new)
    unknown = [part for part in new if not any(k.startswith(part) for k in own)]
    if unknown:
        raise UserError(f"new: the encoder has no part {unknown[0].removeprefix(PREFIX)!r}")
    # A row for each child, so that a neck of another recipe is seen at a glance.
    prefixes = tuple(f"{PREFIX}{name}." for name, child in model.encoder.named_children() if child.state_dict())
    table, parts = coverage_table(own, weights, prefixes, "weights of the encoder")
    wrong = shortcomings(parts, new)
    wrong += [f"{k} is not of this encoder" for k in parts[""].unexpected]
    wrong += [f"{k} is missing" for k in parts[""].missing if k.startswith(PREFIX) and not k.startswith(new)]
    return table, wrong
