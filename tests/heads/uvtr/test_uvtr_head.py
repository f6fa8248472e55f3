"""The detection head as a whole: both published forms, hard batches, and that it learns."""

import math

import pytest
import torch
from mmdet3d.structures import LiDARInstance3DBoxes
from mmengine.structures import InstanceData

from ponderv2.heads.uvtr import detection_losses
from ponderv2.structures import FeatureVolume
from tests.factories.uvtr import CHANNELS, DENOISING, FORMS, GRID, head_of, target_of, total, volume_of


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("counts", [(3, 2), (0, 2), (0, 0)], ids=str)
@pytest.mark.parametrize("scale", [1.0, 0.0], ids=["volume", "zero volume"])
def test_losses_are_finite_and_every_parameter_has_a_gradient(form, counts, scale):
    head = head_of(**FORMS[form])
    data = (volume_of(2).data * scale).requires_grad_()
    losses = head.loss(FeatureVolume(data, GRID), [target_of(n, seed=n) for n in counts])
    assert all(torch.isfinite(value) and value.dim() == 0 for value in losses.values())
    total(losses).backward()
    grads = {name: p.grad for name, p in head.named_parameters()} | {"volume": data.grad}
    assert [name for name, grad in grads.items() if grad is None] == []
    assert all(torch.isfinite(grad).all() for grad in grads.values())


@pytest.mark.parametrize("form", FORMS)
def test_names_of_the_losses_are_the_same_with_and_without_boxes(form):
    head = head_of(**FORMS[form])
    kinds = ["loss_cls", "loss_bbox"] + ["loss_iou"] * (form == "denoising")
    names = {prefix + kind for kind in kinds for prefix in ("", "d0.")}
    if form == "denoising":
        names |= {f"{prefix}dn_{kind}" for kind in kinds for prefix in ("", "d0.")}
    for count in (0, 3):
        assert set(head.loss(volume_of(), [target_of(count)])) == names


@pytest.mark.parametrize("counts", [(3, 2), (0, 0)], ids=str)
def test_ranks_exchange_their_counts_once_whatever_is_in_the_batch(counts, monkeypatch):
    calls = []
    monkeypatch.setattr(detection_losses, "reduce_mean", lambda counts: calls.append(counts.shape) or counts)
    head_of(**DENOISING).loss(volume_of(2), [target_of(n) for n in counts])
    assert calls == [(6, 2)]


def test_denoising_is_for_training_only():
    head = head_of(**DENOISING).eval()
    assert not any("dn" in name for name in head.loss(volume_of(), [target_of(3)]))


def test_background_denoising_queries_have_no_box_loss():
    head = head_of(**DENOISING | dict(denoising=dict(background_beyond=1e-6)))
    losses = head.loss(volume_of(), [target_of(3)])
    assert losses["dn_loss_bbox"] == losses["dn_loss_iou"] == 0
    assert losses["dn_loss_cls"] > 0


def test_the_target_of_each_denoising_query_is_the_box_it_starts_at():
    head = head_of(**DENOISING | dict(num_queries=40, denoising=dict(noise_scale=0.0, background_beyond=1.0)))
    seen = []
    head.losses.register_forward_pre_hook(lambda _, args: seen.append(args[1]))
    targets = [target_of(3, seed=1), target_of(0), target_of(2, seed=2)]
    head.loss(volume_of(3), targets)
    dn_targets = seen[0]  # [0] because the losses of denoising queries are computed first
    assert set(dn_targets.sample.tolist()) == {0, 2}
    for k, sample in enumerate(dn_targets.sample.tolist()):
        copied = dn_targets.query[0, k].item() % 3  # groups of three, the most boxes of a sample
        center = targets[sample].bboxes_3d.gravity_center[copied]
        torch.testing.assert_close(dn_targets.codes[0, k, [0, 1, 4]], center)
        label = dn_targets.labels[0, sample, dn_targets.query[0, k]]
        assert label == targets[sample].labels_3d[copied]


def test_denoising_losses_follow_their_weight():
    def losses(weight):
        head = head_of(**DENOISING | dict(denoising=dict(weight=weight)))
        head.eval().train()  # no randomness but the noise
        torch.manual_seed(5)
        return head.loss(volume_of(), [target_of(3)])

    once, twice = losses(1.0), losses(2.0)
    assert twice["dn_loss_cls"].item() == pytest.approx(2 * once["dn_loss_cls"].item(), rel=1e-5)
    assert twice["loss_cls"].item() == pytest.approx(once["loss_cls"].item(), rel=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_a_batch_of_two_is_the_mean_of_two_batches_of_one(form):
    head = head_of(**FORMS[form] | dict(iou_weight=0.0, decoding=None)).eval()
    volume, targets = volume_of(2), [target_of(3, seed=1), target_of(3, seed=2)]
    both = head.loss(volume, targets)
    parts = [head.loss(volume.with_data(volume.data[b : b + 1]), targets[b : b + 1]) for b in range(2)]
    for name, value in both.items():
        torch.testing.assert_close(value, (parts[0][name] + parts[1][name]) / 2, rtol=1e-4, atol=1e-5)


def test_prediction_of_a_batch_is_that_of_its_samples():
    head, volume = head_of(**DENOISING).eval(), volume_of(2)
    both = head.predict(volume)
    for b in range(2):
        (alone,) = head.predict(volume.with_data(volume.data[b : b + 1]))
        torch.testing.assert_close(both[b].scores_3d, alone.scores_3d)
        torch.testing.assert_close(both[b].bboxes_3d.tensor, alone.bboxes_3d.tensor, rtol=1e-4, atol=1e-4)
        assert torch.equal(both[b].labels_3d, alone.labels_3d)


def test_with_a_normed_volume_the_size_of_features_does_not_matter():
    normed, plain = (head_of(volume_norm=norm).eval() for norm in (True, False))
    plain.load_state_dict(normed.state_dict())
    volume = volume_of(2)
    faint = volume.with_data(0.05 * volume.data + torch.linspace(-1, 1, CHANNELS)[:, None, None, None])
    for head, same in ((normed, True), (plain, False)):
        read = [head(v).logits for v in (volume, faint)]
        assert torch.allclose(*read, rtol=1e-3, atol=1e-3) == same
    assert normed(volume.with_data(0 * volume.data)).logits.isfinite().all()


@pytest.mark.parametrize("form", FORMS)
def test_autocast_changes_nothing(form):
    head, volume, target = head_of(**FORMS[form]).eval(), volume_of(), [target_of(3)]
    exact, exact_prediction = head.loss(volume, target), head.predict(volume)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = head.loss(volume, target)
        found = head.predict(volume)[0]
    for name, value in exact.items():
        assert under[name].dtype == torch.float32
        torch.testing.assert_close(under[name], value)
    torch.testing.assert_close(found.scores_3d, exact_prediction.scores_3d)
    torch.testing.assert_close(found.bboxes_3d.tensor, exact_prediction.bboxes_3d.tensor)
    half = head.loss(volume.with_data(volume.data.bfloat16()), target)
    assert all(value.dtype == torch.float32 for value in half.values())


def test_the_unknown_velocity_of_a_box_has_no_loss():
    head = head_of().eval()
    target = target_of(1)
    losses = [head.loss(volume_of(), [target])["loss_bbox"]]
    zero = target.bboxes_3d.clone()
    zero.tensor[:, 7:] = 0.0
    losses.append(head.loss(volume_of(), [InstanceData(bboxes_3d=zero, labels_3d=target.labels_3d)])["loss_bbox"])
    assert torch.isfinite(losses[0])
    assert losses[0] < losses[1]


def test_more_boxes_than_queries_train():
    for form in FORMS.values():
        assert torch.isfinite(total(head_of(**form).loss(volume_of(), [target_of(20)])))


def test_labels_and_boxes_that_cannot_be_are_named():
    head, target = head_of(), target_of(2)
    with pytest.raises(ValueError, match=r"sample 0 has labels \[-1, 3\], expected 0 to 9"):
        head.loss(volume_of(), [InstanceData(bboxes_3d=target.bboxes_3d, labels_3d=torch.tensor([3, -1]))])
    flat = target.bboxes_3d.clone()
    flat.tensor[1, 4] = 0.0
    with pytest.raises(ValueError, match=r"\(l, w, h\) = \(.*, 0.0, .*\) metres"):
        head.loss(volume_of(), [InstanceData(bboxes_3d=flat, labels_3d=target.labels_3d)])
    with pytest.raises(ValueError, match="1 targets for a batch of 2"):
        head.loss(volume_of(2), [target])


def test_a_volume_that_is_not_finite_is_one_clear_error():
    volume = volume_of()
    with pytest.raises(FloatingPointError, match="not finite"):
        head_of().loss(volume.with_data(volume.data * math.nan), [target_of(2)])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (dict(query_init="random"), "query_init"),
        (dict(denoising=dict()), "query_init='reference'"),
        (dict(decoding=dict(use_iou=True)), "iou_weight"),
        (dict(num_classes=3, decoding=dict(nms=0.2)), "expected 3 names"),
        (dict(decoding=dict(nms=dict(lorry=0.2))), "lorry"),
    ],
)
def test_options_that_do_not_fit_are_named(options, named):
    with pytest.raises(ValueError, match=named):
        head_of(**options)


def test_arguments_are_not_changed_by_building():
    options = dict(denoising=dict(groups=2), decoding=dict(max_boxes=5), matching=dict(class_weight=1.0))
    again = dict(denoising=dict(groups=2), decoding=dict(max_boxes=5), matching=dict(class_weight=1.0))
    for _ in range(2):
        head = head_of(query_init="reference", **options)
    assert options == again
    assert (head.denoising.groups, head.decoding.max_boxes, head.matcher.class_cost.weight) == (2, 5, 1.0)


def test_matching_uses_the_weights_of_the_code():
    weights = (2, 2, 1, 1, 1, 1, 1, 1, 0.2, 0.2)
    assert head_of(code_weights=weights).matcher.code_weights == weights[:8]
    assert "losses.code_weights" not in head_of().state_dict()


@pytest.mark.parametrize("form", FORMS)
def test_it_finds_the_boxes_of_a_volume_that_learns_with_it(form):
    rows = torch.tensor(
        [
            [5.0, 3, -1, 4.5, 1.9, 1.6, 0.3, 1, 2],
            [-8.0, 2, -1, 4.0, 1.8, 1.5, 2.0, 0, 0],
            [2.0, -9, -1, 0.7, 0.7, 1.8, -1.0, math.nan, math.nan],
        ]
    )
    labels = torch.tensor([0, 0, 7])
    target = InstanceData(bboxes_3d=LiDARInstance3DBoxes(rows, box_dim=9), labels_3d=labels)
    head = head_of(**FORMS[form] | dict(num_queries=20, channels=32, num_heads=4, ffn_channels=64, dropout=0.0))
    data = torch.nn.Parameter(torch.randn(1, CHANNELS, *GRID.shape))
    optimizer = torch.optim.Adam([*head.parameters(), data], lr=6e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 150)
    for _ in range(150):
        optimizer.zero_grad()
        total(head.loss(FeatureVolume(data, GRID), [target])).backward()
        optimizer.step()
        schedule.step()
    (found,) = head.eval().predict(FeatureVolume(data, GRID))
    distance = torch.cdist(target.bboxes_3d.gravity_center, found.bboxes_3d.gravity_center[:3])
    nearest = distance.argmin(dim=1)
    assert distance.amin(dim=1).max() < 0.5
    assert sorted(nearest.tolist()) == [0, 1, 2]
    assert torch.equal(found.labels_3d[nearest], labels)
