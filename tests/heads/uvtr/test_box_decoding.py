"""From codes and scores to boxes."""

import pytest
import torch
from mmdet3d.structures import LiDARInstance3DBoxes

from ponderv2.heads.uvtr.box_code import boxes_with_velocity, encode_boxes
from ponderv2.heads.uvtr.box_decoding import BoxDecoder, best_pairs, iou_score
from tests.factories.uvtr import boxes_of


def _sure(labels, classes=10, sure=8.0):
    logits = torch.full((len(labels), classes), -sure)
    logits[torch.arange(len(labels)), labels] = sure
    return logits


def test_ground_truth_that_is_encoded_comes_out_as_it_was():
    boxes = LiDARInstance3DBoxes(boxes_of(6), box_dim=9)
    labels = torch.tensor([0, 3, 9, 3, 1, 7])
    found = BoxDecoder(score_threshold=0.5)(_sure(labels), encode_boxes(boxes_with_velocity(boxes)))
    assert sorted(found.labels_3d.tolist()) == sorted(labels.tolist())
    place = torch.cdist(found.bboxes_3d.gravity_center, boxes.gravity_center).argmin(dim=1)
    torch.testing.assert_close(found.bboxes_3d.tensor, boxes.tensor[place], equal_nan=True)
    assert torch.equal(found.labels_3d, labels[place])


def test_the_best_pairs_are_those_of_a_sort():
    scores = torch.rand(7, 3)
    best, queries, labels = best_pairs(scores, 5)
    expected = sorted(((scores[q, k].item(), q, k) for q in range(7) for k in range(3)), reverse=True)[:5]
    assert list(zip(best.tolist(), queries.tolist(), labels.tolist(), strict=True)) == expected
    assert len(best_pairs(scores, 100)[0]) == 21


def test_scores_descend_and_are_at_most_max_boxes():
    found = BoxDecoder(max_boxes=12)(torch.randn(20, 10), torch.randn(20, 10))
    assert len(found) == 12
    assert (found.scores_3d.diff() <= 0).all()


def test_boxes_with_a_centre_out_of_range_are_dropped():
    codes = torch.zeros(4, 10)
    codes[:, 0] = torch.tensor([0.0, 61.0, 61.3, 0.0])
    codes[3, 4] = -10.1
    found = BoxDecoder(score_threshold=0.5)(_sure(torch.tensor([0, 1, 2, 3])), codes)
    assert sorted(found.labels_3d.tolist()) == [0, 1]


def test_low_scores_are_dropped():
    logits = _sure(torch.tensor([0, 1]))
    logits[1, 1] = 0.0
    assert BoxDecoder(score_threshold=0.6)(logits, torch.zeros(2, 10)).labels_3d.tolist() == [0]


def test_the_fit_counts_half_in_the_logarithm():
    scores = iou_score(torch.tensor([0.64, 0.64, 0.25, 0.25]), torch.tensor([1.0, -0.5, -3.0, 5.0]))
    torch.testing.assert_close(scores, torch.tensor([0.8, 0.4, 0, 0.5]))


def test_a_better_fit_wins_with_use_iou():
    logits, codes = _sure(torch.tensor([0, 1])), torch.zeros(2, 10)
    logits[0, 0] = 9.0
    ious = torch.tensor([-0.5, 0.9])
    assert BoxDecoder()(logits, codes, ious).labels_3d[0] == 0
    assert BoxDecoder(use_iou=True)(logits, codes, ious).labels_3d[0] == 1


def test_the_class_score_alone_chooses_the_boxes_that_the_fit_then_orders():
    """As published: the third query has the best mean of both, but is not among the two best classes."""
    logits, codes = torch.full((3, 10), -9.0), torch.zeros(3, 10)
    logits[:, 0] = torch.tensor([0.95, 0.9, 0.5]).logit()
    codes[:, 0] = torch.tensor([1.0, 2.0, 3.0])
    ious = torch.tensor([-0.8, 0.2, 1.0])
    found = BoxDecoder(max_boxes=2, use_iou=True)(logits, codes, ious)
    assert found.bboxes_3d.gravity_center[:, 0].tolist() == [2.0, 1.0]
    torch.testing.assert_close(found.scores_3d, torch.tensor([0.9 * 0.6, 0.95 * 0.1]).sqrt())


def test_duplicates_of_named_classes_go():
    codes = torch.zeros(4, 10)
    labels = torch.tensor([9, 9, 0, 0])  # two barriers and two cars at one place
    decoder = BoxDecoder(score_threshold=0.5, nms=dict(barrier=0.2))
    assert sorted(decoder(_sure(labels), codes).labels_3d.tolist()) == [0, 0, 9]


def test_wrong_options_are_errors_when_they_are_given():
    with pytest.raises(ValueError, match="'lorry'"):
        BoxDecoder(nms=dict(lorry=0.2))
    with pytest.raises(ValueError, match="expected 6 numbers"):
        BoxDecoder(post_center_range=(-50, 50))
    with pytest.raises(ValueError, match="iou_weight"):
        BoxDecoder(use_iou=True)(torch.zeros(1, 10), torch.zeros(1, 10))


def test_no_query_is_no_box():
    found = BoxDecoder(nms=0.1)(torch.zeros(0, 10), torch.zeros(0, 10))
    assert len(found) == 0
    assert found.bboxes_3d.tensor.shape == (0, 9)
