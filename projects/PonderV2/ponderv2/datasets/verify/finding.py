"""Findings of checks, and the words and numbers of their evidence."""

from dataclasses import dataclass
from enum import Enum


class Result(str, Enum):
    """The three ways in which a check can end; data that cannot tell is no pass."""

    PASS = "pass"
    FAIL = "fail"
    UNVERIFIABLE = "not verifiable"


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        check: name of the check, a few words.
        convention: convention that the file should follow, in words.
        result: outcome of the check.
        evidence: numbers behind the result, or the reason why there are none.
    """

    check: str
    convention: str
    result: Result
    evidence: str


def best_reading(errors: dict[str, float]) -> str:
    """Return the reading with the smallest error, the first of equals: the documented one comes first."""
    return min(errors, key=errors.__getitem__)


def spelled(errors: dict[str, float], unit: str = "") -> str:
    """Write errors or scores of readings as a line of evidence: `a 0.03, b 0.41`."""
    return ", ".join(f"{name} {value:.3g}{unit}" for name, value in errors.items())
