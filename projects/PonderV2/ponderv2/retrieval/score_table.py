"""Scores of retrieval as lines to read."""

from collections.abc import Mapping

from .retrieval_scores import RANKS


def score_lines(scores: Mapping[str, Mapping]) -> list[str]:
    """Return a table of the scores of `evaluate_retrieval`: a row for each radius, and a line of its duplicates."""
    titles = ["within", "queries", *(f"recall@{k}" for k in RANKS), *(f"chance@{k}" for k in RANKS)]
    rows = [titles]
    for radius, found in scores.items():
        counted = f"{found['queries']} of {found['queries'] + found['without_match']}"
        rows.append([radius, counted, *(_share(found[title]) for title in titles[2:])])
    widths = [max(len(row[k]) for row in rows) for k in range(len(titles))]
    lines = ["  ".join(value.rjust(width) for value, width in zip(row, widths, strict=True)) for row in rows]
    for radius, found in scores.items():
        told = found["duplicates"]
        lines.append(
            f"duplicates within {radius}: average precision {_share(told['average_precision'])}, largest F1 "
            f"{_share(told['max_f1'])} at a cosine of {_share(told['threshold'])}, recall without a wrong one "
            f"{_share(told['recall_at_full_precision'])}; {told['negatives']} negatives"
        )
    return lines


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
