"""Scores of retrieval against a slow reference that ranks all places of each query one by one."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import hypergeom
from sklearn.metrics import average_precision_score

from ponderv2.errors import UserError
from ponderv2.retrieval import PlaceIndex, PlaceRecord, chance_of, duplicate_scores, evaluate_retrieval
from tests.retrieval.places import random_index


def _others(index: PlaceIndex, vector: np.ndarray, query: PlaceRecord) -> list[tuple[float, float]]:
    """Cosine and distance of each place that is not of the query's own pass; other maps are infinitely far."""
    rows = []
    for other, place in zip(index.vectors, index.records):
        if query.log != place.log or abs(query.time - place.time) >= 30.0:
            here = query.location == place.location
            away = math.dist((query.x, query.y), (place.x, place.y)) if here else math.inf
            rows.append((float(vector @ other), away))
    return rows


def _slow(index: PlaceIndex, queries: PlaceIndex, radius: float) -> dict:
    hits, chance, without = {1: [], 5: [], 10: []}, {1: [], 5: [], 10: []}, 0
    for vector, query in zip(queries.vectors, queries.records):
        answers = sorted(_others(index, vector, query), key=lambda answer: -answer[0])
        right = [away <= radius for _, away in answers]
        if not any(right):
            without += 1
            continue
        for rank in hits:
            hits[rank].append(any(right[:rank]))
            chance[rank].append(1 - hypergeom(len(right), sum(right), min(rank, len(right))).pmf(0))
    scores = {"queries": len(hits[1]), "without_match": without}
    for rank in hits:
        scores |= {f"recall@{rank}": np.mean(hits[rank]), f"chance@{rank}": np.mean(chance[rank])}
    return scores


@pytest.mark.parametrize("seed", range(3))
def test_recall_and_chance_are_those_of_ranking_every_place(seed):
    index, queries = random_index(seed), random_index(seed + 10, 25)
    found = evaluate_retrieval(index, queries)
    for radius in (5.0, 25.0):
        expected = _slow(index, queries, radius)
        own = found[f"{radius:g}m"]
        assert {name: own[name] for name in expected} == pytest.approx(expected)


def _slow_answers(index: PlaceIndex, queries: PlaceIndex, radius: float) -> list[tuple[float, bool, bool]]:
    """Cosine, whether it is right, and whether there is a match, of each query, and of those without their matches."""
    answers = []
    for vector, query in zip(queries.vectors, queries.records):
        rows = sorted(_others(index, vector, query), reverse=True)
        answers.append((rows[0][0], rows[0][1] <= radius, min(away for _, away in rows) <= radius))
        others = [cosine for cosine, away in rows if away > 25.0]
        if others and len(others) < len(rows):
            answers.append((others[0], False, False))
    return answers


@pytest.mark.parametrize("seed", range(2))
def test_duplicates_are_told_from_the_same_queries_without_their_matches(seed):
    index, queries = random_index(seed), random_index(seed + 10, 25)
    found = evaluate_retrieval(index, queries)
    for radius in (5.0, 25.0):
        cosine, right, has_match = (np.array(column) for column in zip(*_slow_answers(index, queries, radius)))
        expected = duplicate_scores(cosine, right, has_match) | {"negatives": int((~has_match).sum())}
        assert found[f"{radius:g}m"]["duplicates"] == pytest.approx(expected)
        assert expected["negatives"] >= 20


def test_places_that_all_look_alike_are_no_duplicates_though_every_query_has_one():
    records = [PlaceRecord(f"{k}", f"map-{k}", "first", 0.0, 0.0, 0.0) for k in range(20)]
    passes = [replace(record, log="second") for record in records]
    for own, low, high in ((1e-2, 0.45, 0.6), (1.0, 1.0, 1.0)):
        # A place has its own direction beside one that all share; a query is more or less of its place.
        places = own * np.eye(22, dtype=np.float32)[:20] + (1.0 - own) * np.eye(22, dtype=np.float32)[20]
        places /= np.linalg.norm(places, axis=1, keepdims=True)
        angle = np.linspace(0.0, 1.0, 20, dtype=np.float32)[:, None]
        index = PlaceIndex(places, records, "lidar", index_of_first().describer)
        asked = np.cos(angle) * places + np.sin(angle) * np.eye(22, dtype=np.float32)[21]
        found = evaluate_retrieval(index, replace(index, vectors=asked, records=passes))["5m"]
        assert (found["recall@1"], found["without_match"], found["duplicates"]["negatives"]) == (1.0, 0, 20)
        # Without the second answers all would be right, and their precision 1, however alike places look.
        assert low <= found["duplicates"]["average_precision"] <= high


def test_an_index_is_scored_by_itself_without_its_own_passes():
    index = random_index(4)
    found = evaluate_retrieval(index, index)
    expected = _slow(index, index, 25.0)
    assert {name: found["25m"][name] for name in expected} == pytest.approx(expected)
    # Each query is its own best answer, and never counts.
    assert found["5m"]["recall@1"] is None or found["5m"]["recall@1"] < 1.0


def test_chance_is_the_share_of_all_orders():
    right = [True, False, False, True, False, False]
    for rank in (1, 2, 5):
        orders = list(itertools.permutations(right))
        expected = np.mean([any(order[:rank]) for order in orders])
        assert chance_of(np.array([2]), np.array([6]), rank)[0] == pytest.approx(expected)
    assert chance_of(np.array([1]), np.array([1]), 10)[0] == 1.0


def test_precision_and_recall_of_duplicates_are_those_of_each_threshold():
    rng = np.random.default_rng(0)
    cosine = rng.choice(np.linspace(0, 1, 12), 40)
    right = rng.random(40) < cosine
    has_match = right | (rng.random(40) < 0.3)
    found = duplicate_scores(cosine, right, has_match)
    best = (-1.0, 0.0)
    full = 0.0
    for threshold in np.unique(cosine):
        told = cosine >= threshold
        precision, recall = right[told].mean(), right[told].sum() / has_match.sum()
        best = max(best, (2 * precision * recall / (precision + recall), threshold))
        full = max(full, recall if precision == 1.0 else 0.0)
    assert (found["max_f1"], found["threshold"]) == pytest.approx(best)
    assert found["recall_at_full_precision"] == pytest.approx(full)
    share = right.sum() / has_match.sum()
    assert found["average_precision"] == pytest.approx(average_precision_score(right, cosine) * share)
    assert set(duplicate_scores(cosine, right & False, has_match & False).values()) == {None}


def test_queries_that_cannot_be_scored_are_refused():
    index = random_index(0, 2)
    with pytest.raises(UserError, match="all are of the same pass"):
        evaluate_retrieval(PlaceIndex(index.vectors[:1], index.records[:1], "lidar", index.describer), index_of_first())


def index_of_first() -> PlaceIndex:
    index = random_index(0, 2)
    return PlaceIndex(index.vectors[:1], index.records[:1], "lidar", index.describer)
