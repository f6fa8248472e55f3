"""Losses of key points against plain loops; what they reward."""

import math

import pytest
import torch
import torch.nn.functional as F

from ponderv2.heads.keypoints import Candidates, contrast, probabilistic_chamfer, score_map_loss, view_spread


def _candidates(count: int, seed: int) -> Candidates:
    torch.manual_seed(seed)
    return Candidates(3 * torch.rand(count, 3), 0.1 + torch.rand(count), F.normalize(torch.randn(count, 4), dim=1))


def test_the_chamfer_loss_is_that_of_a_loop_and_pulls_the_nearest_together():
    first, second = _candidates(20, 0), _candidates(15, 1)
    first.places.requires_grad_()
    valid = torch.arange(20) % 3 > 0
    loss = probabilistic_chamfer(first, second, valid, 1.0)
    for k in range(20):
        apart, best = min((math.dist(first.places[k].tolist(), second.places[j].tolist()), j) for j in range(15))
        mean = float(first.distances[k] + second.distances[best]) / 2
        expected = math.log(mean) + min(apart, 1.0) / mean if valid[k] else 0.0
        assert float(loss[k].detach()) == pytest.approx(expected, abs=1e-4)
    loss.sum().backward()
    moved = Candidates(first.places.detach() - 0.01 * first.places.grad, first.distances, first.descriptors)
    assert probabilistic_chamfer(moved, second, valid, 1.0).sum() < loss.sum()
    assert first.places.grad[~valid].abs().sum() == 0


def test_two_candidates_at_one_place_have_finite_slopes():
    first, second = _candidates(3, 0), _candidates(3, 0)
    first.places.requires_grad_()
    probabilistic_chamfer(first, second, torch.ones(3, dtype=torch.bool), 1.0).sum().backward()
    assert first.places.grad.isfinite().all()


def test_the_best_expected_distance_is_the_distance_itself():
    places = torch.zeros(1, 3)
    other = Candidates(places + torch.tensor([[0.3, 0.0, 0.0]]), torch.tensor([0.3]), torch.ones(1, 1))
    losses = {
        s: float(probabilistic_chamfer(Candidates(places, torch.tensor([s]), torch.ones(1, 1)), other, *_ALL))
        for s in (0.1, 0.3, 0.9)
    }
    assert min(losses, key=losses.get) == 0.3


_ALL = torch.ones(1, dtype=torch.bool), 2.0


def test_a_score_is_the_share_of_exponential_distances_within_half_a_meter():
    torch.manual_seed(0)
    mean = 0.4
    found = torch.distributions.Exponential(1 / mean).sample((20000,)) <= 0.5
    one = Candidates(torch.zeros(1, 3), torch.tensor([mean]), torch.ones(1, 1))
    assert float(one.scores) == pytest.approx(float(found.float().mean()), abs=0.01)


def test_contrast_is_that_of_a_loop_without_what_is_neither_near_nor_far():
    torch.manual_seed(0)
    first, second = (F.normalize(torch.randn(n, 5), dim=1) for n in (6, 7))
    apart, weights = 4 * torch.rand(6, 7), torch.rand(6)
    total, weight = 0.0, 0.0
    for k in range(6):
        partner = int(apart[k].argmin())
        if apart[k, partner] > 0.5:
            continue
        others = [j for j in range(7) if j == partner or apart[k, j] >= 2.0]
        cosines = torch.stack([first[k] @ second[j] / 0.1 for j in others])
        total += float(weights[k] * -cosines.log_softmax(dim=0)[others.index(partner)])
        weight += float(weights[k])
    assert weight > 0
    assert float(contrast(first, second, apart, weights, 0.5, 2.0)) == pytest.approx(total / weight, rel=1e-5)


def test_contrast_of_nothing_or_without_partners_is_zero():
    descriptors = F.normalize(torch.randn(3, 4), dim=1)
    assert float(contrast(descriptors, descriptors[:0], torch.zeros(3, 0), torch.ones(3), 0.5, 2.0)) == 0
    assert float(contrast(descriptors, descriptors, torch.full((3, 3), 3.0), torch.ones(3), 0.5, 2.0)) == 0


def test_scores_of_maps_are_best_where_they_are_the_targets():
    targets = torch.tensor([[[0.0, 0.2], [0.7, 0.0]]])
    exact = score_map_loss(torch.logit(targets.clamp(1e-4, 1 - 1e-4)), targets)
    assert exact < 1e-3 < score_map_loss(torch.zeros(1, 2, 2), targets)


def test_spread_is_the_variance_over_the_pictures_that_show_a_place():
    logits = torch.tensor([[0.0, 2.0, 1.0], [4.0, 2.0, -3.0], [4.0, 9.0, 1.0]])
    seen = torch.tensor([[True, True, True], [True, True, False], [False, False, False]])
    scores = logits.sigmoid()
    first = scores[:2, 0].var(unbiased=False)
    weights = torch.tensor([0.5, 1.0, 1.0])
    # The second place is alike in both, the third is in one alone.
    assert float(view_spread(logits, seen, weights)) == pytest.approx(float(0.5 * first / 1.5), rel=1e-5)
