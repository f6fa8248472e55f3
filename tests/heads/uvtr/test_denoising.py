"""Noisy copies of boxes: where they start, what they are called, and who sees whom."""

import itertools
import math

import pytest
import torch
from tests.factories.uvtr import GRID, boxes_of, head_of, volume_of

from ponderv2.heads.uvtr.denoising import Denoising, visible_queries


def _metres(references):
    lower, upper = references.new_tensor(GRID.lower), references.new_tensor(GRID.upper)
    return lower + references * (upper - lower)


def _copies(boxes, denoising=None, queries=1000):
    labels = [torch.arange(len(b)) % 10 for b in boxes]
    return (denoising or Denoising())(boxes, labels, GRID, queries, 10), labels


def _one_big_sample(count=40):
    boxes = boxes_of(count)
    boxes[:, :3] *= 0.3  # far from the edges, where starts are cut off
    return boxes


def test_copies_start_within_their_turned_box_and_far_ones_are_background():
    boxes = _one_big_sample()
    copies, labels = _copies([boxes])
    away = _metres(copies.references)[0].unflatten(0, (10, -1)) - boxes[:, :3]
    sine, cosine = boxes[:, 6].sin(), boxes[:, 6].cos()
    along, across = away[..., 0] * cosine + away[..., 1] * sine, away[..., 1] * cosine - away[..., 0] * sine
    noise = torch.stack([along, across, away[..., 2]], dim=-1) / (boxes[:, 3:6] / 2)
    assert (noise.abs() <= 1 + 1e-3).all()
    assert noise.std() == pytest.approx(3**-0.5, abs=0.03)
    expected = torch.where(noise.norm(dim=-1) > 0.75, 10, labels[0])
    assert torch.equal(copies.labels[0].unflatten(0, (10, -1)), expected)


def test_the_share_that_keeps_its_class_is_the_published_one():
    copies, _ = _copies([_one_big_sample(500)], queries=10_000)
    share = (copies.labels < 10).float().mean().item()
    assert Denoising().expected_share == pytest.approx(math.pi / 6 * 0.75**3)
    assert share == pytest.approx(Denoising().expected_share, abs=0.02)


def test_without_noise_starts_are_the_normalised_centres():
    boxes = _one_big_sample(3)
    copies, _ = _copies([boxes], Denoising(groups=2, noise_scale=0.0, background_beyond=1.0))
    torch.testing.assert_close(_metres(copies.references)[0], boxes[:, :3].repeat(2, 1), rtol=0, atol=1e-4)
    assert copies.boxes[0].tolist() == [0, 1, 2, 0, 1, 2]
    assert set(copies.labels[0].tolist()) <= {0, 1, 2, 10}


def test_boxes_outside_the_range_start_at_its_edge():
    boxes = boxes_of(1)
    boxes[:, 0] = 500.0
    copies, _ = _copies([boxes], Denoising(noise_scale=0.0))
    assert (copies.references[..., 0] == 1).all()
    assert torch.isfinite(head_of(query_init="reference").queries.at(copies.references)[2]).all()


@pytest.mark.parametrize(("boxes", "queries", "groups"), [(3, 900, 10), (30, 100, 3), (60, 50, 1)])
def test_crowded_samples_have_fewer_groups(boxes, queries, groups):
    copies, _ = _copies([boxes_of(boxes)], queries=queries)
    assert copies.labels.shape == (1, groups * boxes)


def test_samples_with_fewer_boxes_are_padded():
    copies, _ = _copies([boxes_of(3), boxes_of(1), boxes_of(0)], Denoising(groups=2))
    assert (copies.labels[0] >= 0).all()
    assert (copies.labels[1] >= 0).tolist() == [True, False, False] * 2
    assert (copies.labels[2] == -1).all()


def test_a_batch_without_boxes_has_no_copies():
    copies, _ = _copies([boxes_of(0), boxes_of(0)])
    assert copies.labels.shape == (2, 0)
    assert copies.references.shape == (2, 0, 3)
    assert copies.visible is None


def test_who_sees_whom_is_what_loops_say():
    groups, most, queries = 3, 2, 4
    count = [2, 1]  # boxes of the samples
    padding = torch.tensor([[k % most >= n for k in range(groups * most)] for n in count])
    visible = visible_queries(groups, padding, queries)
    copies = groups * most
    for b, row, column in itertools.product(range(2), range(copies + queries), range(copies + queries)):
        if column >= copies:
            expected = True
        elif row >= copies:
            expected = False
        else:
            expected = row // most == column // most and not padding[b, column].item()
        assert visible[b, row, column].item() is expected


def test_copies_do_not_change_what_learned_queries_say():
    head = head_of(query_init="reference", denoising=dict()).eval()
    copies, _ = _copies([boxes_of(3), boxes_of(1)], queries=12)
    alone = head(volume_of(2))
    _, learned = head(volume_of(2), copies).split(copies.labels.shape[1])
    torch.testing.assert_close(learned.logits, alone.logits)
    torch.testing.assert_close(learned.codes, alone.codes)


@pytest.mark.parametrize("moved", ["padding", "another group"])
def test_a_copy_does_not_notice_padding_and_other_groups(moved):
    head = head_of(query_init="reference", denoising=dict()).eval()
    copies, _ = _copies([boxes_of(3), boxes_of(1)], Denoising(groups=2), queries=12)
    before = head(volume_of(2), copies).logits
    references = copies.references.clone()
    if moved == "padding":
        references[copies.labels < 0] = 0.9
        kept = torch.cat([copies.labels >= 0, torch.ones(2, 12, dtype=torch.bool)], dim=1)
    else:
        references[:, 3:] = 0.9
        kept = torch.tensor([[True] * 3 + [False] * 3 + [True] * 12] * 2)
    after = head(volume_of(2), type(copies)(references, copies.labels, copies.boxes, copies.visible)).logits
    torch.testing.assert_close(after[:, kept], before[:, kept])
    assert not torch.allclose(after[:, ~kept], before[:, ~kept])


def test_noise_comes_from_the_generator():
    def draw(seed):
        boxes = [boxes_of(3)]
        generator = torch.Generator().manual_seed(seed)
        return Denoising()(boxes, [torch.zeros(3, dtype=torch.long)], GRID, 100, 10, generator).references

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


@pytest.mark.parametrize("wrong", [dict(groups=0), dict(background_beyond=0.0), dict(background_beyond=1.5)])
def test_senseless_options_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Denoising(**wrong)
