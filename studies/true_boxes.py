"""The tables of the devkit's true boxes, which scores depend on."""

from pathlib import Path

from .runs import file_hash

_TRUE_BOXES = ("attribute", "category", "ego_pose", "instance", "sample", "sample_annotation")
"""Tables that say where the devkit's true boxes are and what they are."""


def table_hashes(data_root: Path) -> dict[str, str]:
    """Return the hashes of the tables that hold the true boxes, of every version in the folder of the data."""
    found = sorted(path for name in _TRUE_BOXES for path in data_root.glob(f"v1.0-*/{name}.json"))
    return {str(path.relative_to(data_root)): file_hash(path) for path in found}
