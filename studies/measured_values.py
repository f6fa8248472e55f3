"""Values of files in docs/results that people wrote: each is checked, and an error names its place."""

import math
from collections.abc import Collection, Mapping, Sequence

from ponderv2.errors import UserError

NOT_RUN = "not run"
"""What a table says of a value that is null or absent."""


class ResultsError(UserError):
    """Raised for a file of results that cannot be shown; the message names the file, the key and what was expected."""


def entries(value: object, place: str, known: Collection[str] | None = None) -> Mapping:
    """Return a JSON object; `known` are the keys that it may have, None for any.

    Raises:
        ResultsError: it is none, or has other keys.
    """
    if not isinstance(value, dict):
        raise ResultsError(f"{place}: expected an object, found {_short(value)}")
    other = [key for key in value if known is not None and key not in known]
    if other:
        raise ResultsError(f"{place}: expected {', '.join(known)}, found {_short(other[0])}")
    return value


def listed(value: object, place: str) -> Sequence:
    """Return a JSON list.

    Raises:
        ResultsError: it is none, or empty.
    """
    if not isinstance(value, list) or not value:
        raise ResultsError(f"{place}: expected a list with entries, found {_short(value)}")
    return value


def name(value: object, place: str) -> str:
    """Return a text that can stand in a cell of a table.

    Raises:
        ResultsError: it is none, or empty, or has a line break or a bar.
    """
    if not isinstance(value, str) or not value.strip() or any(sign in value for sign in "|\n\r"):
        raise ResultsError(f"{place}: expected a name without bars and line breaks, found {_short(value)}")
    return value


def score(value: object, place: str) -> float | None:
    """Return a score from 0 to 1, or None where there is none.

    Raises:
        ResultsError: it is no such number; per cent are not meant.
    """
    found = positive_number(value, place)
    if found is not None and found > 1:
        raise ResultsError(f"{place}: expected a score from 0 to 1, found {_short(value)}")
    return found


def positive_number(value: object, place: str) -> float | None:
    """Return a number that is 0 or more, or None where there is none.

    Raises:
        ResultsError: it is no such number.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ResultsError(f"{place}: expected a number of at least 0, or null, found {_short(value)}")
    return value


def percent(value: float | None, digits: int = 1) -> str:
    """Return a score from 0 to 1 in per cent, without the sign."""
    return NOT_RUN if value is None else f"{100 * value:.{digits}f}"


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [f"| {' | '.join(line)} |" for line in (columns, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(columns), *lines[1:]])


def measured_on(content: Mapping, about: Sequence[str]) -> str:
    """Return the line above the table of a study: its data, what else is said of it, and what failed."""
    failed = content.get("failed", [])
    parts = [content["data"]["benchmark"] or "data of one's own", *about]
    if failed:
        parts.append(f"FAILED: {', '.join(failed)}")
    return f"Measured on {'; '.join(parts)}."


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:36]}…"
