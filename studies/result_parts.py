"""Results that were made in parts: `results/NAME.json` and beside it `results/NAME-PART.json`, shown as one table."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from .measured_values import ResultsError, entries, listed

_SHARED = ("data", "seeds", "pretrain_seeds")
"""What all parts of a table have to say alike: scores of other data or seeds are no rows of the same table."""
_KEYS = ("model", "protocol", "fraction", "metric")
"""What tells a row of a study from its others."""


def part_files(folder: Path, name: str) -> list[Path]:
    """Return the files of a table that are there: `NAME.json`, then its parts by their name."""
    whole = folder / f"{name}.json"
    return [*([whole] if whole.is_file() else []), *sorted(folder.glob(f"{name}-*.json"))]


def table_of_file(path: Path) -> str:
    """Return the name of the table that a file of results belongs to."""
    return path.stem.partition("-")[0]


def join_parts(parts: Mapping[Path, Mapping]) -> Mapping:
    """Join the contents of a table's files: the rows of all, and what the first says besides.

    Args:
        parts: the content of each file, at least one.

    Raises:
        ResultsError: files that are joined have other data or seeds, or the same row twice.
    """
    (first_file, first), *others = parts.items()
    if not others:
        return first
    for file, content in others:
        for key in _SHARED:
            if content.get(key) != first.get(key):
                raise ResultsError(f"{file}: {key}: expected those of {first_file.name}, whose table it is a part of")
    rows, owner = [], {}
    for file, content in parts.items():
        for k, row in enumerate(_rows(content, file)):
            key = tuple(row.get(part) for part in _KEYS)
            if owner.setdefault(key, file) != file:
                raise ResultsError(f"{file}: rows[{k}]: {owner[key].name} has the same row")
            rows.append(row)
    failed = [name for content in parts.values() for name in content.get("failed", [])]
    return {**first, "rows": rows, "failed": failed}


def _rows(content: Mapping, file: Path) -> Sequence[Mapping]:
    rows = listed(content.get("rows"), f"{file}: rows")
    return [entries(row, f"{file}: rows[{k}]") for k, row in enumerate(rows)]
