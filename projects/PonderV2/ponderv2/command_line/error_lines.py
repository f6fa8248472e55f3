"""What an exception means to a user, in one line."""

import errno
import re
import traceback

from ponderv2.errors import ListedErrors, UserError

_LONGEST = 600
_IN_WORKER = re.compile(r"^Caught \w+ in .*(process|replica)")
_LAST_ERROR = re.compile(r"^(?:[\w.]+\.)?(\w+): (.*)", re.MULTILINE | re.DOTALL)

_LOADING_PROCESS_KILLED = (
    "a process that loads data was killed; most likely the memory ran out (fewer workers: "
    "--cfg-options train_dataloader.num_workers=N), or /dev/shm is too small for them"
)
_STACK_FAILURES: tuple[tuple[str, str], ...] = (
    (
        r"DataLoader worker .*(exited unexpectedly|killed by signal)|Pin memory thread exited unexpectedly",
        _LOADING_PROCESS_KILLED,
    ),
    (
        r"CUDA out of memory|can't allocate memory|DefaultCPUAllocator",
        "the memory ran out; a smaller batch needs less (--cfg-options train_dataloader.batch_size=N)",
    ),
    (
        r"PytorchStreamWriter failed|file write failed|StorageFull",
        "a checkpoint could not be written; is the disk full?",
    ),
)
"""Errors that torch and safetensors raise without a type of their own, and what they mean."""


def line_of(error: BaseException, expected: tuple[type[Exception], ...] = ()) -> str | None:
    """Say in one line what a user can mend, of `ListedErrors` in a line each; None for an error that is not the user's.

    Args:
        error: what ended the tool. Errors of data loading processes, which hold a traceback as text, are recognised.
        expected: further types that a user can mend.
    """
    if lost_while_fetching(error):
        # Tensors come through a socket of the process, which may be gone before torch notices that the process is.
        return f"{_LOADING_PROCESS_KILLED} ({type(error).__name__})"
    if isinstance(error, OSError):
        return _os_line(error)
    if isinstance(error, ListedErrors):
        return str(error)
    if isinstance(error, (UserError, *expected)):
        return one_line(_message(error))
    if isinstance(error, MemoryError):
        return "the memory ran out"
    text = str(error)
    for pattern, meaning in _STACK_FAILURES:
        if isinstance(error, Exception) and re.search(pattern, text):
            return f"{meaning} ({one_line(text)[:160]})"
    return None


def one_line(text: str) -> str:
    """Put the lines of a text into one, a list below a colon with semicolons; beyond 600 characters it is cut."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    joined = ""
    for line in lines:
        separator = "" if not joined else " " if joined[-1] in ":;,." else "; "
        joined += separator + line
    # mmengine puts whole recipes into some of its messages.
    return joined if len(joined) <= _LONGEST else f"{joined[: _LONGEST - 2]} …"


def lost_while_fetching(error: BaseException) -> bool:
    """Return whether a connection was lost where torch takes a batch from a data loading process.

    What a data set itself loses, in such a process or without one, passes through other functions of the loader.
    """
    return isinstance(error, ConnectionError | EOFError) and any(
        frame.name == "_try_get_data" and frame.filename.endswith("dataloader.py")
        for frame in traceback.extract_tb(error.__traceback__)
    )


def _os_line(error: OSError) -> str:
    if error.errno is None or error.strerror is None:
        # Raised by this project, or by another library, with a sentence of its own.
        return one_line(_message(error)) or type(error).__name__
    where = f"{error.filename}: " if error.filename else ""
    hint = "; free some and start again" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    return f"{where}{error.strerror[:1].lower()}{error.strerror[1:]}{hint}"


def _message(error: BaseException) -> str:
    """Return the text of an error; of one from a data loading process without the traceback that it carries."""
    text = str(error)
    if _IN_WORKER.match(text):
        # The last frame of the traceback is followed by "module.Type: message".
        _, _, end = text.rpartition("\n    ")
        found = _LAST_ERROR.search(end[end.find("\n") + 1 :])
        if found:
            return found.group(2)
    return text
