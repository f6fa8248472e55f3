"""Rows of a study's file before they are shown: means, deviations and gains have to follow from the scores."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from .arguments import SCRATCH
from .measured_values import ResultsError, listed, name
from .paired_scores import Summary, compare, compare_seeds, summarize

_CLOSE = 1e-9


def compared_in_segmentation(content: Mapping, scratch: Summary, pretrained: Summary, found: Mapping) -> dict:
    """Return what a segmentation study says of a start."""
    return compare_seeds(scratch, pretrained)


def compared_in_transfer(content: Mapping, scratch: Summary, pretrained: Summary, found: Mapping) -> dict:
    """Return what a transfer study says of a start; the number of its encoders is that of the file."""
    return compare(scratch, pretrained, len(content.get("pretrain_seeds", ())) or 1, found.get("encoders"))


def checked_rows(
    content: Mapping, file: str, compared: Callable[[Mapping, Summary, Summary, Mapping], dict]
) -> Sequence[dict]:
    """Return the rows of a study.

    Args:
        content: what the study wrote.
        file: name of its file, for errors.
        compared: what the study says of a start, from its content, the scores of both sides, and what the row has.

    Raises:
        ResultsError: there is none, a name cannot stand in a table, or a mean, deviation or gain of a row is another
            one than its scores have.
    """
    rows = listed(content["rows"], f"{file}: rows")
    for k, row in enumerate(rows):
        place = f"{file}: rows[{k}]"
        for key in ("model", "protocol", "metric"):
            if key in row:
                name(row[key], f"{place}.{key}")
        for key, side in row.items():
            if isinstance(side, Mapping) and "values" in side:
                name(key, place)
                _agree(side, asdict(summarize(listed(side["values"], f"{place}.{key}.values"))), f"{place}.{key}")
        for start in starts_in(row):
            scratch, pretrained = (summarize(row[side]["values"]) for side in (SCRATCH, start))
            computed = compared(content, scratch, pretrained, row[start])
            _agree(row[start]["pairs"], computed.pop("pairs"), f"{place}.{start}.pairs")
            _agree(row[start], computed, f"{place}.{start}")
    return rows


def starts_in(row: Mapping) -> list[str]:
    """Return the names of the pre-trainings of a row: what has pairs with scratch."""
    return [key for key, side in row.items() if isinstance(side, Mapping) and "pairs" in side]


def _agree(found: Mapping, computed: Mapping, place: str) -> None:
    for key, value in computed.items():
        if key in found and not _same(found[key], value):
            raise ResultsError(f"{place}.{key}: expected {value}, which its scores have, found {found[key]}")


def _same(found: object, value: object) -> bool:
    if isinstance(value, list):
        return isinstance(found, list) and len(found) == len(value) and all(map(_same, found, value))
    if isinstance(found, float | int) and isinstance(value, float | int) and not isinstance(value, bool):
        return math.isclose(found, value, rel_tol=1e-6, abs_tol=_CLOSE)
    return found == value
