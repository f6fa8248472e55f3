"""The matching is the best of all, and its cost the documented one."""

import itertools
import math

import pytest
import torch

from ponderv2.heads.uvtr.matching import HungarianMatcher


def _case(layers=2, queries=5, boxes=3):
    logits, codes = torch.randn(layers, queries, 4), torch.randn(layers, queries, 10) * 3
    return logits, codes, torch.randint(0, 4, (boxes,)), torch.randn(boxes, 10) * 3


def _cost_by_loops(logits, codes, labels, targets, weights):
    cost = torch.zeros(len(logits), len(labels), dtype=torch.float64)
    for q, n in itertools.product(range(len(logits)), range(len(labels))):
        p = 1 / (1 + math.exp(-logits[q, labels[n]].item()))
        positive = -0.25 * (1 - p) ** 2 * math.log(p)
        negative = -0.75 * p**2 * math.log(1 - p)
        distance = sum(weights[d] * abs((codes[q, d] - targets[n, d]).item()) for d in range(8))
        cost[q, n] = 2.0 * (positive - negative) + 0.25 * distance
    return cost


@pytest.mark.parametrize("weights", [(1.0,) * 10, (2, 2, 1, 1, 1, 1, 1, 1, 0.2, 0.2)])
def test_cost_is_focal_classification_and_distance_of_eight_dimensions(weights):
    logits, codes, labels, targets = _case()
    cost = HungarianMatcher(code_weights=weights).cost(logits[0], codes[0], labels, targets)
    expected = _cost_by_loops(logits[0], codes[0], labels, targets, weights)
    torch.testing.assert_close(cost.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_no_other_assignment_costs_less(seed):
    torch.manual_seed(seed)
    logits, codes, labels, targets = _case()
    queries, boxes = HungarianMatcher()(logits, codes, labels, targets)
    assert queries.shape == boxes.shape == (2, 3)
    for layer in range(2):
        cost = _cost_by_loops(logits[layer], codes[layer], labels, targets, (1.0,) * 8)
        best = min(sum(cost[q, n] for n, q in enumerate(chosen)) for chosen in itertools.permutations(range(5), 3))
        assert cost[queries[layer], boxes[layer]].sum().item() == pytest.approx(best.item(), abs=1e-5)
        assert len(set(queries[layer].tolist())) == 3
        assert sorted(boxes[layer].tolist()) == [0, 1, 2]


def test_unknown_velocities_change_nothing():
    logits, codes, labels, targets = _case()
    known = HungarianMatcher()(logits, codes, labels, targets)
    targets[:, 8:] = math.nan
    unknown = HungarianMatcher()(logits, codes, labels, targets)
    assert torch.equal(known[0], unknown[0])
    assert torch.equal(known[1], unknown[1])


def test_without_boxes_nothing_is_matched():
    queries, boxes = HungarianMatcher()(*_case(boxes=0))
    assert queries.shape == boxes.shape == (2, 0)


def test_of_more_boxes_than_queries_each_query_gets_one():
    queries, boxes = HungarianMatcher()(*_case(queries=2, boxes=4))
    assert sorted(queries[0].tolist()) == [0, 1]
    assert len(set(boxes[0].tolist())) == 2


def test_very_sure_predictions_have_a_finite_cost():
    logits, codes, labels, targets = _case()
    queries, _ = HungarianMatcher()(logits.sign() * 1e4, codes, labels, targets)
    assert queries.shape == (2, 3)


def test_predictions_that_are_not_finite_are_one_clear_error():
    logits, codes, labels, targets = _case()
    codes[1, 0, 0] = math.nan
    with pytest.raises(FloatingPointError, match="99% of the predicted codes"):
        HungarianMatcher()(logits, codes, labels, targets)
