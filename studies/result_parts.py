"""Results that were made in parts: `results/NAME.json` and beside it `results/NAME-PART.json`, shown as one table."""

from collections.abc import Mapping
from pathlib import Path

from .checked_rows import starts_in
from .measured_values import ResultsError

OTHER_BYTES = "other_bytes"
"""Key of joined contents: models and shares of rows from files with other hashes than those of the first part."""
_SEEDS = ("seeds", "pretrain_seeds")
_OF_A_MODEL = ("protocol", "recipe", "steps")
"""What all rows of a model have alike: the table and the picture tell it by its name."""


def part_files(folder: Path, name: str) -> list[Path]:
    """Return the files of a table that are there: `NAME.json`, then its parts by their name."""
    whole = folder / f"{name}.json"
    return [*([whole] if whole.is_file() else []), *sorted(folder.glob(f"{name}-*.json"))]


def join_parts(parts: Mapping[Path, Mapping]) -> Mapping:
    """Join what transfer studies wrote into several files: the rows of all, and what the first says besides.

    Rows of a model stand together, by their share of the labels. The data of all have to be the same files, or the
    same named benchmark: its bytes are others on another kind of CPU, and such rows are told (`OTHER_BYTES`).

    Args:
        parts: the content of each file, at least one.

    Raises:
        ResultsError: files that are joined have other data or seeds, or the same row twice, or another protocol,
            recipe or number of steps of the same model, or other changes of the same start.
    """
    (first_file, first), *others = parts.items()
    if not others:
        return first
    try:
        for file, content in others:
            _check_belongs(content, first, file, first_file)
        owned = [(row, file) for file, content in parts.items() for row in content["rows"]]
        _check_rows(owned)
        models = list(dict.fromkeys(row["model"] for row, _ in owned))
        owned.sort(key=lambda pair: (models.index(pair[0]["model"]), pair[0]["fraction"]))
        other = [model_and_share(row) for row, file in owned if parts[file]["data"] != first["data"]]
        failed = [name for content in parts.values() for name in content["failed"]]
    except (KeyError, TypeError, AttributeError) as error:
        files = ", ".join(file.name for file in parts)
        raise ResultsError(f"{files}: expected what transfer studies write ({error!r})") from error
    rows = [row for row, _ in owned]
    return {**first, "rows": rows, "failed": failed, OTHER_BYTES: list(dict.fromkeys(other))}


def model_and_share(row: Mapping) -> str:
    """Return what tells the rows of a table apart but for the metric, as "lidar 25%"."""
    return f"{row['model']} {100 * row['fraction']:g}%"


def _check_belongs(content: Mapping, first: Mapping, file: Path, first_file: Path) -> None:
    changed = [key for key in _SEEDS if content[key] != first[key]]
    if content["data"] != first["data"]:
        named = [(made["benchmark"], made["format"]) for made in (content["data"], first["data"])]
        if named[0][0] is None or named[0] != named[1]:
            changed.append("data")
    if changed:
        raise ResultsError(f"{file}: {changed[0]}: expected those of {first_file.name}, to which it adds rows")


def _check_rows(owned: list[tuple[Mapping, Path]]) -> None:
    models, changes, seen = {}, {}, {}
    for row, file in owned:
        what = f"{file}: {model_and_share(row)}, {row['metric']}"
        key = (row["model"], row["fraction"], row["metric"])
        if key in seen:
            raise ResultsError(f"{what}: {seen[key].name} has the same row")
        seen[key] = file
        for part in _OF_A_MODEL:
            value, owner = models.setdefault((row["model"], part), (row[part], file))
            if row[part] != value:
                raise ResultsError(f"{what}: {part}: expected {value!r} as in {owner.name}, found {row[part]!r}")
        for start in starts_in(row):
            made = row[start].get("changes") or []
            value, owner = changes.setdefault(start, (made, file))
            if made != value:
                raise ResultsError(f"{what}: {start}.changes: expected {value} as in {owner.name}, found {made}")
