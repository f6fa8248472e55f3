"""This module tells whether the files of a data set are those that a benchmark's name stands for."""

import sys
from pathlib import Path

from synthetic_nuscenes.synthetic_errors import SyntheticDataError

from .benchmarks import store_hashes, stored_hashes
from .dataset import ARGUMENTS_FILE
from .dataset_hashes import PARTS, dataset_hashes


def check_benchmark(root: Path, note: dict, store: Path | None = None, progress: bool = True) -> bool | None:
    """Hash the files of a data set, print the hashes, and compare them with those of its benchmark in the package.

    Files that differ are a warning on the standard error: images and sweeps may differ in their last bits between kinds
    of CPU, for the rays that meet an edge.

    Args:
        root: folder of the data set.
        note: arguments that it was made with, see `dataset.finished_note`.
        store: JSON file that the hashes are written into; None writes none.
        progress: whether a progress bar is shown.

    Returns:
        whether all parts agree; None for a data set without a name, or one of whose format no hashes are stored.

    Raises:
        SyntheticDataError: `store` is given for a data set without a name, or a file of hashes is damaged.
        OSError: a file cannot be read, or `store` cannot be written.
    """
    name, form = note.get("benchmark"), note["format"]
    if name is None and store is not None:
        raise SyntheticDataError(
            f"--hashes: {root} is no benchmark, its {ARGUMENTS_FILE} names none; make one with --benchmark"
        )
    stored = stored_hashes(name, form) if name else None
    found = dataset_hashes(root, progress)
    for part, text in found.items():
        print(f"{part:8}{text}{_verdict(stored, part, text)}")
    if store is not None:
        store_hashes(store, name, form, found)
        print(f"hashes: {store}")
    if name is None:
        print(f"{root} is no benchmark, its {ARGUMENTS_FILE} names none: nothing to compare these hashes with")
        return None
    if stored is None:
        print(f"no hashes of {name} in format {form} are stored: nothing to compare these with")
        return None
    differ = [part for part in PARTS if found[part] != stored.get(part)]
    if not differ:
        print(f"{root} is {name}, format {form}: every byte agrees with the stored hashes")
        return True
    print(
        f"warning: {root} was made as {name}, format {form}, but its {' and '.join(differ)} differ from the stored "
        "hashes. Between kinds of CPU images and sweeps may differ in their last bits, and tables in their counts of "
        "pixels and points; scores then agree closely, not to the last digit",
        file=sys.stderr,
    )
    return False


def _verdict(stored: dict[str, str] | None, part: str, text: str) -> str:
    if stored is None:
        return ""
    return "  agrees" if stored.get(part) == text else "  differs"
