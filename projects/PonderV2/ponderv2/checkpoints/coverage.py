"""Which weights of a model some other weights cover, in a table and in words."""

from dataclasses import dataclass, field

from rich.table import Table
from torch import Tensor


@dataclass(frozen=True)
class Coverage:
    """How the keys of some weights compare with those of a model.

    Attributes:
        matched: in both, of one shape.
        missing: of the model, not among the weights.
        unexpected: among the weights, not of the model.
        shape: in both, with different shapes; "key (theirs) instead of (the model's)".
    """

    matched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    shape: list[str] = field(default_factory=list)


def compare(own: dict[str, Tensor], weights: dict[str, Tensor]) -> Coverage:
    """Coverage of a model's state dict by weights."""
    return Coverage(
        matched=[k for k in own if k in weights and weights[k].shape == own[k].shape],
        missing=[k for k in own if k not in weights],
        unexpected=[k for k in weights if k not in own],
        shape=[
            f"{k} {tuple(weights[k].shape)} instead of {tuple(own[k].shape)}"
            for k in own
            if k in weights and weights[k].shape != own[k].shape
        ],
    )


def coverage_table(
    own: dict[str, Tensor], weights: dict[str, Tensor], prefixes: tuple[str, ...], title: str
) -> tuple[Table, dict[str, Coverage]]:
    """Coverage of the parts of a model, as a table and as values by prefix; what is in no part comes last, as ""."""
    table = Table("part", "matched", "missing", "unexpected", "shape", title=title)
    parts = {prefix: compare(_under(own, prefix), _under(weights, prefix)) for prefix in prefixes}
    own, weights = ({k: v for k, v in names.items() if not k.startswith(prefixes)} for names in (own, weights))
    parts[""] = compare(own, weights)
    for prefix, coverage in parts.items():
        counts = [str(len(keys)) for keys in vars(coverage).values()]
        table.add_row(prefix.rstrip(".") or "the rest (starts new)", *counts)
    return table, parts


def shortcomings(parts: dict[str, Coverage], new: tuple[str, ...] = ()) -> list[str]:
    """What keeps weights from covering the parts, in words; keys that start with one of `new` may be missing."""
    found = []
    for prefix, coverage in parts.items():
        if not prefix:
            continue
        missing = [k for k in coverage.missing if not k.startswith(tuple(new))]
        for name, keys in (
            ("missing", missing),
            ("unexpected", coverage.unexpected),
            ("of another shape", coverage.shape),
        ):
            if keys:
                found.append(f"{prefix.rstrip('.')}: {len(keys)} {name}, the first {keys[0]}")
    return found


def _under(names: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k: v for k, v in names.items() if k.startswith(prefix)}
