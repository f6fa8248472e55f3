"""What a check found out."""

from dataclasses import dataclass
from enum import Enum


class Result(str, Enum):
    """Three ways a check can end; data that cannot tell is no pass."""

    PASS = "pass"
    FAIL = "fail"
    UNVERIFIABLE = "not verifiable"


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        check: what was looked at, a few words.
        convention: what the file should follow, in words.
        result: whether it does.
        evidence: the numbers behind the result, or why there are none.
    """

    check: str
    convention: str
    result: Result
    evidence: str


def best_reading(errors: dict[str, float]) -> str:
    """The reading with the smallest error, the first of equals: the documented one comes first."""
    return min(errors, key=errors.__getitem__)


def spelled(errors: dict[str, float], unit: str = "") -> str:
    """`a 0.03, b 0.41`: errors or scores of readings, for a line of evidence."""
    return ", ".join(f"{name} {value:.3g}{unit}" for name, value in errors.items())
