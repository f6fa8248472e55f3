"""Errors of a recipe, told as such."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mmengine.config import Config

from ponderv2.errors import UserError

_OF_A_RECIPE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    SyntaxError,
    TypeError,
    ValueError,
)


@contextmanager
def recipe_errors(recipe: Path | str, doing: str, changes: Sequence[str] = ()) -> Iterator[None]:
    """Turn what a wrong recipe makes Python, mmengine or a constructor raise into one line that names the recipe.

    It belongs around reading a recipe and around building what it describes, not around the work itself, whose errors
    are not the recipe's.

    Args:
        recipe: the recipe, for the message.
        doing: what failed: "cannot be read".
        changes: changes to the recipe from the command line, for the message, as they may be the cause.

    Raises:
        UserError: for the errors of a recipe. Errors of files and `UserError` itself pass as they are.
    """
    try:
        yield
    except (UserError, OSError):
        raise
    except _OF_A_RECIPE as error:
        changed = f", changed by --cfg-options {' '.join(changes)}," if changes else ""
        # The cause may also be a fault of the class that is built; the traceback tells the two apart.
        raise UserError(
            f"recipe {recipe}{changed} {doing}: {_sentence(error)}; PONDER_TRACEBACK=1 shows where"
        ) from error


def must_have(config: Config, keys: Sequence[str], purpose: str) -> None:
    """Check that a recipe has what a tool reads.

    Args:
        config: the recipe.
        keys: keys of its top level.
        purpose: what the tool does, for the message: "train".

    Raises:
        UserError: the recipe lacks some of the keys.
    """
    missing = [key for key in keys if config.get(key) is None]
    if missing:
        raise UserError(
            f"recipe {config.filename} has no {' and no '.join(missing)}, so there is nothing to {purpose}; recipes "
            "are the files of configs/pretrain, configs/detection, configs/segmentation and configs/tiny, made of "
            "parts in configs/_base_"
        )


def _sentence(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        line = "" if error.lineno is None else f" in line {error.lineno}"
        # mmengine parses the text of a recipe, whose file Python then does not know.
        file = "" if error.filename in (None, "<unknown>") else f" of {error.filename}"
        return f"{error.msg}{line}{file}"
    # KeyError's text is the quoted key alone.
    text = f"no {error}" if type(error) is KeyError and len(str(error)) < 40 else str(error)
    return f"{text or 'no reason given'} ({type(error).__name__})"
