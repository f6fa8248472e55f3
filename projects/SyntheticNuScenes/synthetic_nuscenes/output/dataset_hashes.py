"""This module hashes the files of a data set, as a whole and part by part, so that a difference says where it is."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from .tables import LIDAR_CHANNEL

PARTS = ("tables", "images", "sweeps")
"""Tables and CAN bus messages; images and masks of the maps; LiDAR turns and their labels."""
_BLOCK = 1 << 20


def dataset_hashes(root: Path, progress: bool = True) -> dict[str, str]:
    """Return the SHA-256 of all files that a data set was made of, under `all`, and of each of `PARTS`.

    Each is the hash of lines `<SHA-256 of a file>  <its path>`, in the order of the paths as bytes: what `sha256sum`
    prints. Info files and whatever else was put into the folder later does not count. A file is read in blocks of
    1 MiB.

    Args:
        root: folder of the data set.
        progress: whether a progress bar is shown, on a terminal.
    """
    files = sorted(_files(root), key=lambda found: found[1].encode())
    digests = {name: hashlib.sha256() for name in ("all", *PARTS)}
    with tqdm(total=len(files), unit="file", desc="hashes", disable=None if progress else True, leave=False) as bar:
        for part, name in files:
            line = f"{_file_hash(root / name)}  {name}\n".encode()
            digests["all"].update(line)
            digests[part].update(line)
            bar.update()
    return {name: digest.hexdigest() for name, digest in digests.items()}


def _files(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the part and the path, relative to `root` and with slashes, of each file of a data set."""
    places = {"images": ["samples/CAM_*", "maps"], "sweeps": [f"samples/{LIDAR_CHANNEL}", "sweeps", "lidarseg"]}
    for part, patterns in ({"tables": ["v1.0-*", "can_bus"]} | places).items():
        for folder in (found for pattern in patterns for found in root.glob(pattern)):
            yield from ((part, path.relative_to(root).as_posix()) for path in folder.rglob("*") if path.is_file())


def _file_hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
