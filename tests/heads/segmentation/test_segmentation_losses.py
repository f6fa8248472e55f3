"""Losses of segmentation: what they are at known predictions, and points without a label."""

import pytest
import torch
import torch.nn.functional as F

from ponderv2.errors import UserError
from ponderv2.heads import PointSegmentationHead
from ponderv2.heads.segmentation import SegmentationLoss


def _hard(predictions: torch.Tensor) -> torch.Tensor:
    return 200.0 * F.one_hot(predictions, 4).double() - 100.0


def test_the_lovasz_loss_of_certain_predictions_is_one_minus_the_mean_iou_of_the_classes_that_occur():
    labels = torch.tensor([0, 0, 0, 1, 1, 2])
    predictions = torch.tensor([0, 0, 1, 1, 3, 2])
    ious = torch.tensor([2 / 3, 1 / 3, 1.0])
    loss = SegmentationLoss(cross_entropy=0.0)(_hard(predictions), labels)
    assert set(loss) == {"loss_lovasz"}
    assert loss["loss_lovasz"].item() == pytest.approx(1 - ious.mean().item(), abs=1e-6)


def test_the_cross_entropy_is_the_mean_over_labeled_points_with_weights_of_classes():
    torch.manual_seed(0)
    logits, labels = torch.randn(9, 4), torch.tensor([0, 1, -1, 3, 2, 2, -1, 0, 1])
    weights = (1.0, 2.0, 0.5, 4.0)
    loss = SegmentationLoss(2.0, 0.0, weights)(logits, labels)["loss_cross_entropy"]
    expected = F.cross_entropy(logits, labels, torch.tensor(weights), ignore_index=-1)
    assert loss.item() == pytest.approx(2 * expected.item())


def test_points_without_a_label_change_nothing_and_get_no_gradient():
    torch.manual_seed(0)
    logits, labels = torch.randn(12, 4, requires_grad=True), torch.tensor([0, 1, 2, 3, -1, -1] * 2)
    losses = SegmentationLoss()(logits, labels)
    kept = labels >= 0
    alone = SegmentationLoss()(logits[kept], labels[kept])
    assert all(torch.equal(losses[name], alone[name]) for name in ("loss_cross_entropy", "loss_lovasz"))
    sum(losses.values()).backward()
    assert not logits.grad[~kept].any()
    assert logits.grad[kept].any(dim=1).all()


@pytest.mark.parametrize("labeled", [0, 1])
def test_a_batch_with_no_or_one_labeled_point_has_finite_losses_and_gradients(labeled):
    logits = torch.randn(5, 4, requires_grad=True)
    labels = torch.full((5,), -1)
    labels[:labeled] = 2
    total = sum(SegmentationLoss()(logits, labels).values())
    total.backward()
    assert torch.isfinite(logits.grad).all()
    assert (total == 0) == (labeled == 0)


def test_weights_that_leave_nothing_are_refused():
    with pytest.raises(ValueError, match="not both 0, got 0, 0"):
        SegmentationLoss(0, 0)
    with pytest.raises(ValueError, match="at least 0"):
        SegmentationLoss(1, -1)


def test_labels_that_all_weigh_nothing_give_a_loss_of_0_that_can_be_differentiated():
    logits, labels = torch.randn(5, 4, requires_grad=True), torch.tensor([1, 1, -1, 2, 1])
    loss = SegmentationLoss(1.0, 0.0, (1.0, 0.0, 0.0, 1.0))(logits, labels)["loss_cross_entropy"]
    assert loss.item() == 0
    loss.backward()
    assert torch.equal(logits.grad, torch.zeros(5, 4))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ((1.0,) * 15, "expected 16 numbers, one for each class .*LIDARSEG_CLASSES.*, got 15"),
        ((1.0,) * 15 + (-2.0,), r"at least 0 that are not all 0, got \[-2.0\]"),
        ((1.0,) * 15 + (float("nan"),), r"finite numbers .* got \[nan\]"),
        ((0.0,) * 16, "not all 0"),
    ],
)
def test_weights_of_classes_that_do_not_fit_are_refused_when_the_head_is_built(weights, message):
    with pytest.raises(UserError, match=message):
        PointSegmentationHead(in_channels=4, loss=dict(class_weights=weights))
