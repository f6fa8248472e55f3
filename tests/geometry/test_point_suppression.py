"""Suppression of points equals the plain loop, whatever the scores."""

import pytest
import torch

from ponderv2.geometry import suppress_points


def _by_loops(places, scores, radius, limit):
    """The definition: walk by falling score, and keep what is farther than the radius from all that is kept."""
    kept = []
    for k in sorted(range(len(places)), key=lambda k: -scores[k]):
        near = any(sum((a - b) ** 2 for a, b in zip(places[k], places[j], strict=True)) <= radius**2 for j in kept)
        if not near and len(kept) < limit:
            kept.append(k)
    return kept


@pytest.mark.parametrize("limit", [3, 500])
@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_plain_loop(seed, limit):
    generator = torch.Generator().manual_seed(seed)
    places = 6 * torch.rand(150, 3, generator=generator, dtype=torch.float64)
    scores = torch.randint(40, (150,), generator=generator).double()
    chosen = suppress_points(places, scores, 1.0, limit)
    assert chosen.tolist() == _by_loops(places.tolist(), scores.tolist(), 1.0, limit)
    assert len(chosen) == limit or limit == 500


def test_scores_that_are_no_numbers_are_not_chosen_and_nothing_gives_nothing():
    places = torch.arange(4.0)[:, None].expand(-1, 3)
    scores = torch.tensor([0.1, float("nan"), float("inf"), 0.3])
    assert suppress_points(places, scores, 0.5, 9).tolist() == [3, 0]
    assert suppress_points(places[:0], scores[:0], 0.5, 9).tolist() == []
