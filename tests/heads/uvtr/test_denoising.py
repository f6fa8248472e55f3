"""Denoising queries: their references and labels, and which query may attend to which."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from ponderv2.heads.uvtr.denoising import Denoising, denoising_attn_mask
from tests.factories.uvtr import GRID, boxes_of, head_of, volume_of


def _dn_queries(boxes, denoising=None, queries=1000):
    labels = [torch.arange(len(b)) % 10 for b in boxes]
    return (denoising or Denoising())(boxes, labels, GRID, queries, 10), labels


def _one_big_sample(count=40):
    boxes = boxes_of(count)
    boxes[:, :3] *= 0.3  # far from the edges, where starts are cut off
    return boxes


def test_denoising_queries_start_within_their_rotated_box_and_far_ones_are_background():
    boxes = _one_big_sample()
    dn_queries, labels = _dn_queries([boxes])
    away = GRID.from_fraction(dn_queries.references)[0].unflatten(0, (10, -1)) - boxes[:, :3]
    sine, cosine = boxes[:, 6].sin(), boxes[:, 6].cos()
    along, across = away[..., 0] * cosine + away[..., 1] * sine, away[..., 1] * cosine - away[..., 0] * sine
    noise = torch.stack([along, across, away[..., 2]], dim=-1) / (boxes[:, 3:6] / 2)
    assert (noise.abs() <= 1 + 1e-3).all()
    assert noise.std() == pytest.approx(3**-0.5, abs=0.03)
    expected = torch.where(noise.norm(dim=-1) > 0.75, 10, labels[0])
    assert torch.equal(dn_queries.labels[0].unflatten(0, (10, -1)), expected)


def test_the_share_that_keeps_its_class_is_the_published_one():
    dn_queries, _ = _dn_queries([_one_big_sample(500)], queries=10_000)
    share = (dn_queries.labels < 10).float().mean().item()
    assert Denoising().expected_share == pytest.approx(math.pi / 6 * 0.75**3)
    assert share == pytest.approx(Denoising().expected_share, abs=0.02)


def test_without_noise_references_are_the_centres_as_fractions():
    boxes = _one_big_sample(3)
    dn_queries, _ = _dn_queries([boxes], Denoising(groups=2, noise_scale=0.0, background_beyond=1.0))
    centers = GRID.from_fraction(dn_queries.references)[0]
    torch.testing.assert_close(centers, boxes[:, :3].repeat(2, 1), rtol=0, atol=1e-4)
    assert dn_queries.boxes[0].tolist() == [0, 1, 2, 0, 1, 2]
    assert set(dn_queries.labels[0].tolist()) <= {0, 1, 2, 10}


def test_boxes_outside_the_range_start_at_its_edge():
    boxes = boxes_of(1)
    boxes[:, 0] = 500.0
    dn_queries, _ = _dn_queries([boxes], Denoising(noise_scale=0.0))
    assert (dn_queries.references[..., 0] == 1).all()
    assert torch.isfinite(head_of(query_init="reference").queries.at(dn_queries.references)[2]).all()


@pytest.mark.parametrize(("boxes", "queries", "groups"), [(3, 900, 10), (30, 100, 3), (60, 50, 1)])
def test_crowded_samples_have_fewer_groups(boxes, queries, groups):
    dn_queries, _ = _dn_queries([boxes_of(boxes)], queries=queries)
    assert dn_queries.labels.shape == (1, groups * boxes)


def test_samples_with_fewer_boxes_are_padded():
    dn_queries, _ = _dn_queries([boxes_of(3), boxes_of(1), boxes_of(0)], Denoising(groups=2))
    assert (dn_queries.labels[0] >= 0).all()
    assert (dn_queries.labels[1] >= 0).tolist() == [True, False, False] * 2
    assert (dn_queries.labels[2] == -1).all()


def test_a_batch_without_boxes_has_no_denoising_queries():
    dn_queries, _ = _dn_queries([boxes_of(0), boxes_of(0)])
    assert dn_queries.labels.shape == (2, 0)
    assert dn_queries.references.shape == (2, 0, 3)
    assert dn_queries.attn_mask is None


def test_the_attention_mask_is_that_of_loops():
    groups, most, queries = 3, 2, 4
    count = [2, 1]  # boxes of the samples
    padding = torch.tensor([[k % most >= n for k in range(groups * most)] for n in count])
    attn_mask = denoising_attn_mask(groups, padding, queries)
    denoising = groups * most
    for b, row, column in itertools.product(range(2), range(denoising + queries), range(denoising + queries)):
        if column >= denoising:
            expected = True
        elif row >= denoising:
            expected = False
        else:
            expected = row // most == column // most and not padding[b, column].item()
        assert attn_mask[b, row, column].item() is expected


def test_learned_queries_do_not_depend_on_denoising_queries():
    head = head_of(query_init="reference", denoising=dict()).eval()
    dn_queries, _ = _dn_queries([boxes_of(3), boxes_of(1)], queries=12)
    alone = head(volume_of(2))
    _, learned = head(volume_of(2), dn_queries).split(dn_queries.labels.shape[1])
    torch.testing.assert_close(learned.logits, alone.logits)
    torch.testing.assert_close(learned.codes, alone.codes)


@pytest.mark.parametrize("moved", ["padding", "another group"])
def test_a_denoising_query_does_not_depend_on_padding_and_other_groups(moved):
    head = head_of(query_init="reference", denoising=dict()).eval()
    dn_queries, _ = _dn_queries([boxes_of(3), boxes_of(1)], Denoising(groups=2), queries=12)
    before = head(volume_of(2), dn_queries).logits
    references = dn_queries.references.clone()
    if moved == "padding":
        references[dn_queries.labels < 0] = 0.9
        kept = torch.cat([dn_queries.labels >= 0, torch.ones(2, 12, dtype=torch.bool)], dim=1)
    else:
        references[:, 3:] = 0.9
        kept = torch.tensor([[True] * 3 + [False] * 3 + [True] * 12] * 2)
    after = head(volume_of(2), replace(dn_queries, references=references)).logits
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
