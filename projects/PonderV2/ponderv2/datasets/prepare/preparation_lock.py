"""One process at a time prepares data in a folder."""

from contextlib import AbstractContextManager
from pathlib import Path

from ponderv2.folder_lock import folder_lock

LOCK_NAME = ".create_data.lock"


def preparation_lock(out: Path) -> AbstractContextManager[None]:
    """Keep other processes from preparing data in a folder, see `folder_lock`."""
    return folder_lock(out, LOCK_NAME, "making data", "--out")
