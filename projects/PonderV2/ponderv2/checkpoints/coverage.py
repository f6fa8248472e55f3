"""Which weights of a model some other weights cover, in a table and in words."""

from dataclasses import dataclass, field

from rich.table import Table
from torch import Tensor


@dataclass(frozen=True)
class Coverage:
    """How the keys of some weights compare with those of a model.

    Attributes:
        matched: keys that both have, with one shape.
        missing: keys of the model that the weights do not have.
        unexpected: keys of the weights that the model does not have.
        shape: keys that both have with different shapes; "key (theirs) instead of (the model's)".
    """

    matched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    shape: list[str] = field(default_factory=list)

    def problems(self) -> str:
        """Say in words what keeps the weights from being all of the model's, and nothing else; "" where they are."""
        kinds = {"missing": self.missing, "not in the model": self.unexpected, "of another shape": self.shape}
        return "; ".join(f"{len(keys)} {kind}, the first {keys[0]}" for kind, keys in kinds.items() if keys)


def compare(own: dict[str, Tensor], weights: dict[str, Tensor]) -> Coverage:
    """Compare a model's state dict with weights."""
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


def compare_parts(own: dict[str, Tensor], weights: dict[str, Tensor], prefixes: tuple[str, ...]) -> dict[str, Coverage]:
    """Compare the parts of a model's state dict with weights.

    Args:
        own: state dict of the model.
        weights: what is compared with it.
        prefixes: what the names of each part begin with.

    Returns:
        Coverage by prefix; what is in no part comes last, under "".
    """
    parts = {prefix: compare(_under(own, prefix), _under(weights, prefix)) for prefix in prefixes}
    own, weights = ({k: v for k, v in names.items() if not k.startswith(prefixes)} for names in (own, weights))
    return parts | {"": compare(own, weights)}


def coverage_table(
    own: dict[str, Tensor], weights: dict[str, Tensor], prefixes: tuple[str, ...], title: str
) -> tuple[Table, dict[str, Coverage]]:
    """Compare as `compare_parts` does; returns a table of a title to print, and the values behind it."""
    table = Table("part", "matched", "missing", "unexpected", "shape", title=title)
    parts = compare_parts(own, weights, prefixes)
    for prefix, coverage in parts.items():
        counts = [str(len(keys)) for keys in vars(coverage).values()]
        table.add_row(prefix.rstrip(".") or "the rest (starts new)", *counts)
    return table, parts


def shortcomings(parts: dict[str, Coverage], new: tuple[str, ...] = ()) -> list[str]:
    """Say in words what keeps weights from covering the parts; keys that start with one of `new` may be missing."""
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
