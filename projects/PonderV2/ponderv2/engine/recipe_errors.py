"""Errors of a recipe, told as such."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
def recipe_errors(recipe: Path | str, doing: str) -> Iterator[None]:
    """Turn what a wrong recipe makes Python, mmengine or a constructor raise into one line that names the recipe.

    It belongs around reading a recipe and around building what it describes, not around the work itself, whose errors
    are not the recipe's.

    Args:
        recipe: the recipe, for the message.
        doing: what failed: "cannot be read".

    Raises:
        UserError: for the errors of a recipe. Errors of files and `UserError` itself pass as they are.
    """
    try:
        yield
    except (UserError, OSError):
        raise
    except _OF_A_RECIPE as error:
        raise UserError(f"recipe {recipe} {doing}: {_sentence(error)}") from error


def _sentence(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        line = "" if error.lineno is None else f" in line {error.lineno}"
        # mmengine parses the text of a recipe, whose file Python then does not know.
        file = "" if error.filename in (None, "<unknown>") else f" of {error.filename}"
        return f"{error.msg}{line}{file}"
    # KeyError's text is the quoted key alone.
    text = f"no {error}" if type(error) is KeyError and len(str(error)) < 40 else str(error)
    return f"{text or 'no reason given'} ({type(error).__name__})"
