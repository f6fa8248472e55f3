"""Results that were made in parts: `results/NAME.json` and beside it `results/NAME-PART.json`, shown as one table."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from .measured_values import ResultsError, entries, listed

OTHER_BYTES = "other_bytes"
"""Key of joined contents: the models of parts whose benchmark was made on another kind of CPU, with other last bits."""
_SEEDS = ("seeds", "pretrain_seeds")
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

    The data of all have to be the same files, or the same named benchmark: on another kind of CPU it has other last
    bits, and the models that were measured there are told (`OTHER_BYTES`).

    Args:
        parts: the content of each file, at least one.

    Raises:
        ResultsError: files that are joined have other data or seeds, or the same row twice.
    """
    (first_file, first), *others = parts.items()
    if not others:
        return first
    other_bytes = []
    for file, content in others:
        changed = [key for key in _SEEDS if content.get(key) != first.get(key)]
        if not _same_data(content.get("data"), first.get("data")):
            changed.append("data")
        if changed:
            raise ResultsError(f"{file}: {changed[0]}: expected those of {first_file.name}, to which it adds rows")
        if content.get("data") != first.get("data"):
            other_bytes += [row.get("model") for row in _rows(content, file)]
    rows, owner = [], {}
    for file, content in parts.items():
        for k, row in enumerate(_rows(content, file)):
            key = tuple(row.get(part) for part in _KEYS)
            if owner.setdefault(key, file) != file:
                raise ResultsError(f"{file}: rows[{k}]: {owner[key].name} has the same row")
            rows.append(row)
    failed = [name for content in parts.values() for name in content.get("failed", [])]
    return {**first, "rows": rows, "failed": failed, OTHER_BYTES: list(dict.fromkeys(other_bytes))}


def _same_data(data: object, other: object) -> bool:
    if data == other:
        return True
    named = [made.get("benchmark") and (made["benchmark"], made.get("format")) for made in (data, other) if made]
    return len(named) == 2 and named[0] is not None and named[0] == named[1]


def _rows(content: Mapping, file: Path) -> Sequence[Mapping]:
    rows = listed(content.get("rows"), f"{file}: rows")
    return [entries(row, f"{file}: rows[{k}]") for k, row in enumerate(rows)]
