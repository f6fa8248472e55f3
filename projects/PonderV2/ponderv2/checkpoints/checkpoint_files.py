"""Finding and loading checkpoints."""

from pathlib import Path

from torch import nn

from ponderv2.compat.safe_checkpoint import load_checkpoint_file

from .coverage import compare


def resolve_checkpoint(path: Path) -> Path:
    """Return the checkpoint itself, where `path` is mmengine's `last_checkpoint` file or a work dir that has one.

    Raises:
        FileNotFoundError: there is none.
    """
    if path.is_dir():
        path = path / "last_checkpoint"
    if path.name == "last_checkpoint" and path.is_file():
        named = Path(path.read_text().strip())
        # The file holds the path as it was at training; the folder may have moved since.
        path = named if named.is_file() else path.parent / named.name
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path} does not exist")
    return path


def load_weights(model: nn.Module, path: Path) -> None:
    """Load all weights of a model of the same recipe.

    Raises:
        ValueError: naming the first keys that are missing, left over or of another shape.
    """
    weights = load_checkpoint_file(path)["state_dict"]
    problems = compare(model.state_dict(), weights).problems()
    if problems:
        raise ValueError(f"checkpoint {path} is not of this recipe: {problems}")
    model.load_state_dict(weights)
