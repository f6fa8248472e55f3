"""The errors that a user can mend, and what they say of paths that are not there."""

import difflib
from pathlib import Path


class UserError(ValueError):
    """Raised for what a user gave and can mend: a path, a recipe, a checkpoint, an info file, an option.

    Its message is one line that names the file, key or value and says what was expected. The tools print that line
    and end with exit code 2; any other exception is a fault of the program, and is shown with its traceback.
    """


class ListedErrors(UserError):
    """Several of them at once, which the tools print as they are: what is wrong, and below it a line for each."""


def near_path(path: Path) -> str:
    """Name the entry of the folder of a missing path whose name is closest, for an error; "" where none is close."""
    if not path.parent.is_dir():
        return f"; there is no folder {path.parent}"
    close = difflib.get_close_matches(path.name, [entry.name for entry in path.parent.iterdir()], n=1)
    return f"; did you mean {path.parent / close[0]}?" if close else ""
