"""Spread and effective rank: of constant, few and many directions, and that a mask holds."""

import math

import pytest
import torch
import torch.nn.functional as F

from ponderv2.teachers import direction_moments, effective_rank, spread_of


def _measures(features, mask=None):
    mask = torch.ones(features.shape[:-1], dtype=torch.bool) if mask is None else mask
    mean, moment = direction_moments(features, mask)
    return float(spread_of(mean, moment)), float(effective_rank(moment))


def test_constant_features_have_no_spread_and_rank_one_and_directions_all_around_have_all():
    torch.manual_seed(0)
    assert _measures(torch.ones(50, 8)) == pytest.approx((0, 1), abs=5e-3)
    spread, rank = _measures(torch.randn(4000, 8))
    assert spread == pytest.approx(1, abs=0.01)
    assert rank == pytest.approx(8, abs=0.05)
    _, rank = _measures(torch.randn(4000, 2) @ torch.randn(2, 8))
    assert 1.5 < rank < 2.01
    # Alike but for a little noise in all directions.
    spread, rank = _measures(torch.ones(4000, 8) + 0.05 * torch.randn(4000, 8))
    assert spread < 0.1
    assert rank < 2.5


def test_they_are_what_their_names_say():
    torch.manual_seed(0)
    features = F.normalize(torch.randn(30, 5) * torch.tensor([4.0, 2, 1, 1, 0.1]) + 0.5, dim=-1)
    singular = torch.linalg.svdvals(features)
    share = [float(s) / float(singular.sum()) for s in singular]
    spread, rank = _measures(3 * features)
    assert rank == pytest.approx(math.exp(-sum(s * math.log(s) for s in share)), rel=1e-3)
    assert spread == pytest.approx(math.sqrt(float(features.var(dim=0, correction=0).sum())), rel=1e-4)


def test_what_does_not_count_may_be_anything():
    torch.manual_seed(0)
    features, mask = torch.randn(2, 40, 6), torch.rand(2, 40) > 0.5
    expected = _measures(features[mask])
    features[~mask] = float("nan")
    assert _measures(features, mask) == pytest.approx(expected, rel=1e-4)


def test_features_of_zeros_are_not_spread_and_none_at_all_is_not_a_number():
    torch.manual_seed(0)
    features = torch.randn(4000, 8)
    assert _measures(torch.zeros(50, 8)) == pytest.approx((0, 1), abs=1e-6)
    # Of 100 places, 99 are dead.
    features[torch.arange(4000) % 100 > 0] = 0
    spread, _ = _measures(features)
    assert spread == pytest.approx(0.1, abs=0.01)
    assert all(map(math.isnan, _measures(features, torch.zeros(4000, dtype=torch.bool))))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_features_that_are_not_finite_give_no_number_and_leave_others_alone(value):
    torch.manual_seed(0)
    whole = torch.randn(2, 100, 6)
    moments = [direction_moments(f, torch.ones(100, dtype=torch.bool)) for f in whole]
    broken = whole[0].clone()
    broken[3, 2] = value
    moments[0] = direction_moments(broken, torch.ones(100, dtype=torch.bool))
    means, squares = (torch.stack(values) for values in zip(*moments, strict=True))
    for found, expected in zip((spread_of(means, squares), effective_rank(squares)), _measures(whole[1]), strict=True):
        assert math.isnan(found[0])
        assert float(found[1]) == pytest.approx(expected)
