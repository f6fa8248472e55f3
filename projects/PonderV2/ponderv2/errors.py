"""The errors that a user can mend."""


class UserError(ValueError):
    """Raised for what a user gave and can mend: a path, a recipe, a checkpoint, an info file, an option.

    Its message is one line that names the file, key or value and says what was expected. The tools print that line
    and end with exit code 2; any other exception is a fault of the program, and is shown with its traceback.
    """


class ListedErrors(UserError):
    """Several of them at once, which the tools print as they are: what is wrong, and below it a line for each."""
