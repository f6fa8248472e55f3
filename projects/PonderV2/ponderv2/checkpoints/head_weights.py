"""The head of a detector, in a checkpoint that starts another detector."""

from pathlib import Path

from mmengine.logging import MMLogger
from torch import Tensor, nn

from ponderv2.compat.safe_checkpoint import load_checkpoint_file
from ponderv2.errors import UserError

from .checkpoint_files import resolve_checkpoint
from .coverage import compare

PREFIX = "head."


def read_head_weights(path: Path) -> dict[str, Tensor]:
    """Read the weights of a model's head, without a prefix.

    Args:
        path: checkpoint or work dir of a model with a head.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: the file has no head, as an exported encoder has none.
    """
    path = resolve_checkpoint(path)
    return head_weights_of(load_checkpoint_file(path), path)


def head_weights_of(checkpoint: dict, path: Path) -> dict[str, Tensor]:
    """Return the weights of a model's head, without a prefix, of a checkpoint that was read.

    Raises:
        UserError: there is no head in it, as in an exported encoder; `path` is the file, for the message.
    """
    if path.suffix == ".safetensors":
        raise UserError(
            f"{path} is an exported encoder, which has no head; expected a detector's checkpoint or work dir"
        )
    state = checkpoint.get("state_dict")
    weights = {k.removeprefix(PREFIX): v for k, v in (state or {}).items() if k.startswith(PREFIX)}
    if not weights:
        raise UserError(f"{path}: no key of its state_dict starts with {PREFIX!r}, so it has no head")
    return weights


def load_head_weights(model: nn.Module, path: Path | str) -> None:
    """Load the head of a checkpoint into `model.head`, and log it.

    Args:
        model: has a `head`; the rest of it is left as it is.
        path: checkpoint or work dir of a model with the same head.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: the file has no head, or another one; nothing is loaded then.
    """
    weights = read_head_weights(Path(path))
    problems = compare(model.head.state_dict(), weights).problems()
    if problems:
        raise UserError(f"{path} does not cover this model's head, nothing was loaded: {problems}")
    model.head.load_state_dict(weights)
    MMLogger.get_current_instance().info("head from %s: %d weights", path, len(weights))
