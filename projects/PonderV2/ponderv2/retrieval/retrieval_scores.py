"""Scores of retrieval by ego pose and location: recall, what chance reaches, and precision and recall of duplicates."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ponderv2.errors import UserError
from ponderv2.shapes import Bool, Float, Int

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
        `chance@...`, what a random order is expected to reach; and `duplicates`, see `duplicate_scores`. Where every
        query has a match, the threshold of duplicates would have nothing to keep out: so each query with a place within
        the larger radius is asked once more, of an index without these, and its best answer is a wrong one;
        `duplicates` has the number of such and other queries without a match as `negatives`.

    Raises:
        UserError: descriptors cannot be compared, or no query has a place that counts.
    """
    index.check_comparable(queries, "queries")
    parts = [_answers(index, queries, part) for part in _parts(len(queries.records))]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    places = columns["places"]
    if not places.any():
        raise UserError(f"no place is left for any of {len(places)} queries: all are of the same pass")
    scores = {}
    for radius in RADII:
        name = f"{radius:g}m"
        matches, rank = columns[f"{name} matches"], columns[f"{name} rank"]
        known = matches > 0
        entry: dict = {"queries": int(known.sum()), "without_match": int((~known).sum())}
        for number in RANKS:
            chance = chance_of(matches[known], places[known], number)
            entry[f"recall@{number}"] = float((rank[known] <= number).mean()) if known.any() else None
            entry[f"chance@{number}"] = float(chance.mean()) if known.any() else None
        answered, elsewhere = places > 0, np.isfinite(columns["cosine elsewhere"])
        cosine = np.concatenate([columns["cosine"][answered], columns["cosine elsewhere"][elsewhere]])
        nowhere = np.zeros(int(elsewhere.sum()), dtype=bool)
        has_match = np.concatenate([known[answered], nowhere])
        entry["duplicates"] = duplicate_scores(cosine, np.concatenate([(rank == 1)[answered], nowhere]), has_match)
        entry["duplicates"]["negatives"] = int((~has_match).sum())
        scores[name] = entry
    return scores


def _parts(count: int) -> list[slice]:
    """Return parts of so many queries that the distances of a whole data set fit into memory."""
    return [slice(start, start + 256) for start in range(0, count, 256)]


def _answers(index: PlaceIndex, queries: PlaceIndex, part: slice) -> dict[str, np.ndarray]:
    """Return for some queries the number of places that count, and the cosine of the best; for each radius how many of
    them are right, and the rank of the first that is, infinite beyond those that were looked at; and the cosine of the
    best that is beyond the larger radius, -inf of a query with no place within it, or with no other."""
    among = candidates(queries.records[part], index.records)
    near = among.allowed & (among.distance <= max(RADII))
    # So many that the first ten that count are among them, and the first that is not near.
    excluded = int((~among.allowed | near).sum(axis=1).max())
    cosine, found = index.search(queries.vectors[part], max(RANKS) + excluded)
    counts = np.take_along_axis(among.allowed, found, axis=1)
    distance = np.take_along_axis(among.distance, found, axis=1)
    # A place that does not count takes no rank.
    rank = np.where(counts, np.cumsum(counts, axis=1), np.inf)
    first = counts.argmax(axis=1)[:, None]
    columns = {"places": among.allowed.sum(axis=1), "cosine": np.take_along_axis(cosine, first, axis=1)[:, 0]}
    far = counts & (distance > max(RADII))
    best = np.take_along_axis(cosine, far.argmax(axis=1)[:, None], axis=1)[:, 0]
    columns["cosine elsewhere"] = np.where(far.any(axis=1) & near.any(axis=1), best, -np.inf)
    for radius in RADII:
        columns[f"{radius:g}m matches"] = (among.allowed & (among.distance <= radius)).sum(axis=1)
        columns[f"{radius:g}m rank"] = np.where(distance <= radius, rank, np.inf).min(axis=1)
    return columns


def chance_of(matches: Int[np.ndarray, "q"], places: Int[np.ndarray, "q"], rank: int) -> Float[np.ndarray, "q"]:
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
