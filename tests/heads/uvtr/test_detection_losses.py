"""Losses against plain loops, and what unknown values do to them."""

import math

import pytest
import torch

from ponderv2.heads.uvtr import detection_losses
from ponderv2.heads.uvtr.box_code import decode_boxes, encode_boxes
from ponderv2.heads.uvtr.detection_losses import DetectionLoss, LayerSums, QueryTargets, by_layer, normalize
from ponderv2.heads.uvtr.rotated_iou import paired_iou_3d
from ponderv2.heads.uvtr.uvtr_decoder import QueryPredictions
from tests.factories.uvtr import boxes_of

WEIGHTS = (2, 2, 1, 1, 1, 1, 1, 1, 0.2, 0.2)


def _case(layers=2, batch=2, queries=4, classes=3):
    """One box for each sample; the second has an unknown velocity."""
    boxes = boxes_of(2)
    codes = encode_boxes(boxes)
    query = torch.randint(0, queries, (layers, 2))
    labels = torch.full((layers, batch, queries), classes)
    for layer in range(layers):
        labels[layer, [0, 1], query[layer]] = torch.tensor([0, 2])
    labels[0, 0, (query[0, 0] + 1) % queries] = -1
    predicted = torch.randn(layers, batch, queries, 10)
    for layer in range(layers):
        predicted[layer, [0, 1], query[layer]] = codes.nan_to_num(0.0) + 0.1 * torch.randn(2, 10)
    predictions = QueryPredictions(
        torch.randn(layers, batch, queries, classes), predicted, torch.randn(layers, batch, queries)
    )
    targets = QueryTargets(labels, torch.tensor([0, 1]), query, codes.expand(layers, -1, -1), class_count=2)
    return predictions, targets


def _focal(logits, labels):
    total = 0.0
    for row, label in zip(logits.flatten(0, 1).tolist(), labels.flatten().tolist(), strict=True):
        for k, logit in enumerate(row):
            p = 1 / (1 + math.exp(-logit))
            if label == -1:
                continue
            total += -0.25 * (1 - p) ** 2 * math.log(p) if k == label else -0.75 * p**2 * math.log(1 - p)
    return total


def test_sums_are_those_of_loops():
    predictions, targets = _case()
    sums = DetectionLoss(iou_weight=0.5, code_weights=WEIGHTS)(predictions, targets)
    for layer in range(2):
        focal = 2.0 * _focal(predictions.logits[layer], targets.labels[layer])
        assert sums["loss_cls"].total[layer].item() == pytest.approx(focal, rel=1e-5)
        distance = overlap_error = overlapping = 0.0
        for sample in range(2):
            code = predictions.codes[layer, sample, targets.query[layer, sample]]
            target = targets.codes[layer, sample]
            for d in range(10):
                if not math.isnan(target[d]):
                    distance += 0.25 * WEIGHTS[d] * abs(code[d].item() - target[d].item())
            iou = paired_iou_3d(decode_boxes(code)[None], decode_boxes(target)[None]).item()
            assert iou > 0  # the case is one where boxes overlap
            predicted_iou = predictions.ious[layer, sample, targets.query[layer, sample]].item()
            overlap_error += 0.5 * abs(predicted_iou - (2 * iou - 1))
            overlapping += 1
        assert sums["loss_bbox"].total[layer].item() == pytest.approx(distance, rel=1e-5)
        assert sums["loss_iou"].total[layer].item() == pytest.approx(overlap_error, rel=1e-4)
        assert sums["loss_iou"].count[layer].item() == overlapping
    assert sums["loss_cls"].count.tolist() == sums["loss_bbox"].count.tolist() == [2, 2]


def test_boxes_that_do_not_overlap_have_no_overlap_loss():
    predictions, targets = _case()
    far = targets.codes.clone()
    far[..., 0] += 1000
    far = QueryTargets(targets.labels, targets.sample, targets.query, far, 2)
    part = DetectionLoss(iou_weight=0.5)(predictions, far)["loss_iou"]
    assert part.total.tolist() == part.count.tolist() == [0, 0]


def test_an_unknown_velocity_has_no_gradient_and_the_rest_of_its_box_has():
    predictions, targets = _case()
    codes = predictions.codes.clone().requires_grad_()
    out = DetectionLoss()(QueryPredictions(predictions.logits, codes, None), targets)
    out["loss_bbox"].total.sum().backward()
    assert torch.isfinite(codes.grad).all()
    known, unknown = (codes.grad[0, sample, targets.query[0, sample]] for sample in (0, 1))
    assert (known != 0).all()
    assert (unknown[:8] != 0).all()
    assert (unknown[8:] == 0).all()


def test_the_overlap_loss_has_a_gradient_for_the_overlap_alone():
    predictions, targets = _case()
    codes = predictions.codes.clone().requires_grad_()
    ious = predictions.ious.clone().requires_grad_()
    loss = DetectionLoss(iou_weight=0.5)(QueryPredictions(predictions.logits, codes, ious), targets)["loss_iou"]
    (by_codes,) = torch.autograd.grad(loss.total.sum(), codes, allow_unused=True, retain_graph=True)
    (by_ious,) = torch.autograd.grad(loss.total.sum(), ious)
    assert by_codes is None
    assert by_ious.count_nonzero() == 4


def test_counts_are_exchanged_once_and_never_below_one(monkeypatch):
    calls = []

    def mean_of_ranks(counts):
        calls.append(counts.clone())
        return counts / 2

    monkeypatch.setattr(detection_losses, "reduce_mean", mean_of_ranks)
    sums = {
        "loss_cls": LayerSums(torch.tensor([6.0, 8.0]), torch.tensor([4.0, 8.0])),
        "loss_bbox": LayerSums(torch.tensor([3.0, 0.0]), torch.tensor([1.0, 0.0])),
    }
    losses = normalize(sums)
    assert len(calls) == 1
    assert losses["loss_cls"].tolist() == [3.0, 2.0]
    assert losses["loss_bbox"].tolist() == [3.0, 0.0]


def test_the_last_layer_has_the_plain_name():
    named = by_layer({"loss_cls": torch.tensor([1.0, 2.0, 3.0])})
    assert {name: value.item() for name, value in named.items()} == {
        "d0.loss_cls": 1.0,
        "d1.loss_cls": 2.0,
        "loss_cls": 3.0,
    }


def test_code_weights_must_be_ten():
    with pytest.raises(ValueError, match="expected 10 numbers, got 8"):
        DetectionLoss(code_weights=(1.0,) * 8)
