"""Scores of retrieval by ego pose and location: recall, what chance reaches, and precision and recall of duplicates."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ponderv2.errors import UserError
from ponderv2.shapes import Bool, Float

from .place_index import PlaceIndex
from .place_records import EXCLUDED_SECONDS, PlaceRecord, positions_of

RADII, RANKS = (5.0, 25.0), (1, 5, 10)


@dataclass(frozen=True)
class Candidates:
    """What a search may find for queries.

    Attributes:
        allowed: places that count for each query.
        distance: distance (m) between query and place, infinite between two locations.
    """

    allowed: Bool[np.ndarray, "q n"]
    distance: Float[np.ndarray, "q n"]


def candidates(queries: Sequence[PlaceRecord], places: Sequence[PlaceRecord]) -> Candidates:
    """Tell which places count for each query, and how far they are away."""
    offset = positions_of(queries)[:, None] - positions_of(places)[None]
    here = np.array([q.location for q in queries])[:, None] == np.array([p.location for p in places])[None]
    log = np.array([q.log for q in queries])[:, None] == np.array([p.log for p in places])[None]
    lag = np.abs(np.array([q.time for q in queries])[:, None] - np.array([p.time for p in places])[None])
    return Candidates(~(log & (lag < EXCLUDED_SECONDS)), np.where(here, np.hypot(*offset.transpose(2, 0, 1)), np.inf))


def evaluate_retrieval(index: PlaceIndex, queries: PlaceIndex) -> dict:
    """Score the answers of an index to queries.

    Returns:
        For each radius ("5m", "25m"): `queries` with a place within it, `without_match` those without, which count in
        no recall; `recall@1`, `recall@5` and `recall@10`, shares of queries with a right place among the first so many;
        `chance@...`, what a random order is expected to reach; and `duplicates`, see `duplicate_scores`.

    Raises:
        UserError: descriptors cannot be compared, or no query has a place that counts.
    """
    index.check_comparable(queries, "queries")
    among = candidates(queries.records, index.records)
    if not among.allowed.any():
        raise UserError(f"no place is left for any of {len(queries.records)} queries: all are of the same pass")
    # So many that the first ten that count are among them.
    excluded = int((~among.allowed).sum(axis=1).max())
    cosine, found = index.search(queries.vectors, max(RANKS) + excluded)
    counts = np.take_along_axis(among.allowed, found, axis=1)
    distance = np.take_along_axis(among.distance, found, axis=1)
    scores = {}
    for radius in RADII:
        near = among.allowed & (among.distance <= radius)
        has_match = near.any(axis=1)
        right = counts & (distance <= radius)
        # A place that does not count takes no rank.
        rank = np.cumsum(counts, axis=1)
        entry = {"queries": int(has_match.sum()), "without_match": int((~has_match).sum())}
        for number in RANKS:
            hit = (right & (rank <= number)).any(axis=1)
            entry[f"recall@{number}"] = float(hit[has_match].mean()) if has_match.any() else None
            chance = chance_of(near.sum(axis=1)[has_match], among.allowed.sum(axis=1)[has_match], number)
            entry[f"chance@{number}"] = float(chance.mean()) if has_match.any() else None
        first = counts.argmax(axis=1)
        rows = np.flatnonzero(counts.any(axis=1))
        entry["duplicates"] = duplicate_scores(cosine[rows, first[rows]], right[rows, first[rows]], has_match[rows])
        scores[f"{radius:g}m"] = entry
    return scores


def chance_of(matches: Float[np.ndarray, "q"], places: Float[np.ndarray, "q"], rank: int) -> Float[np.ndarray, "q"]:
    """Return how likely a random order has one of so many matches among the first `rank` of so many places."""
    missed = np.ones(len(matches))
    for k in range(rank):
        left = np.maximum(places - k, 1)
        missed *= np.clip((places - matches - k) / left, 0.0, 1.0)
    return 1.0 - missed


def duplicate_scores(
    cosine: Float[np.ndarray, "q"], right: Bool[np.ndarray, "q"], has_match: Bool[np.ndarray, "q"]
) -> dict[str, float | None]:
    """Score how well cosines tell that a place was passed before, over all thresholds of the first answer.

    An answer above the threshold is right within the radius; recall counts queries that have a place there.

    Args:
        cosine: cosine of each query's first answer.
        right: whether that answer is right.
        has_match: whether the query has any right answer.

    Returns:
        `average_precision`, the largest `f1` with its `threshold`, and `recall_at_full_precision`; None where no query
        has a right answer.
    """
    if not has_match.any():
        return dict.fromkeys(("average_precision", "max_f1", "threshold", "recall_at_full_precision"))
    values, found = precision_recall(cosine, right, int(has_match.sum())), {}
    precision, recall, threshold = values
    found["average_precision"] = float(np.sum(precision * np.diff(recall, prepend=0.0)))
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(f1.argmax())
    found |= {"max_f1": float(f1[best]), "threshold": float(threshold[best])}
    found["recall_at_full_precision"] = float(recall[precision == 1.0].max(initial=0.0))
    return found


def precision_recall(
    cosine: Float[np.ndarray, "q"], right: Bool[np.ndarray, "q"], positives: int
) -> tuple[Float[np.ndarray, "t"], Float[np.ndarray, "t"], Float[np.ndarray, "t"]]:
    """Return precision and recall of the answers at or above each threshold, from the largest threshold on."""
    order = np.argsort(-cosine, kind="stable")
    cosine, right = cosine[order], right[order]
    # Equal cosines are told at once or not at all.
    last = np.flatnonzero(np.append(np.diff(cosine) != 0, True))
    hits = np.cumsum(right)[last]
    return hits / (last + 1), hits / positives, cosine[last]
