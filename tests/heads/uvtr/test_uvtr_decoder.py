"""The decoder: what it reads from the volume, and where its gradients go."""

import pytest
import torch

from ponderv2.heads.uvtr.queries import EmbeddedQueries, ReferenceQueries
from ponderv2.heads.uvtr.uvtr_decoder import QuerySelfAttention, UVTRDecoder, VolumeCrossAttention
from ponderv2.structures import FeatureVolume
from tests.factories.uvtr import CHANNELS, GRID, volume_of


def _decoder(**changes):
    return UVTRDecoder(**dict(in_channels=CHANNELS, channels=8, num_classes=3, num_layers=3, num_heads=2) | changes)


def _start(batch=1, queries=5):
    return torch.randn(batch, queries, 8), torch.randn(batch, queries, 8), torch.randn(batch, queries, 3)


def test_gates_start_half_open():
    attention = _decoder().layers[0].cross_attention
    content, position, _ = _start()
    assert (attention.gate(content + position) == 0).all()


def test_an_empty_volume_adds_only_the_embedding_of_the_reference():
    attention = VolumeCrossAttention(CHANNELS, 8, dropout=0.0)
    content, position, references = _start()
    empty = FeatureVolume(torch.zeros(1, CHANNELS, *GRID.shape), GRID)
    expected = attention.output_proj.bias + attention.position_encoder(references)
    torch.testing.assert_close(attention(content, position, references, empty), expected)


def test_self_attention_is_that_of_torch():
    ours, theirs = QuerySelfAttention(8, 2, 0.0), torch.nn.MultiheadAttention(8, 2, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query_key.weight, ours.value.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.query_key.bias, ours.value.bias]))
        theirs.out_proj.load_state_dict(ours.output_proj.state_dict())
    content, position, _ = _start(2, 6)
    attn_mask = torch.rand(6, 6) > 0.3
    attn_mask.fill_diagonal_(True)
    key = content + position
    expected, _ = theirs(key, key, content, attn_mask=~attn_mask)
    torch.testing.assert_close(ours(content, position, attn_mask.expand(2, -1, -1)), expected)


def test_centres_are_refined_from_layer_to_layer_within_the_range():
    decoder = _decoder().eval()
    content, position, references = _start()
    steps = []
    for branch in decoder.reg_branches:
        branch.register_forward_hook(lambda _, __, out: steps.append(out.detach()))
    codes = decoder(volume_of(), content, position, references).codes
    lower, upper = torch.tensor(GRID.lower), torch.tensor(GRID.upper)
    for i, code in enumerate(codes):
        references = references + steps[i][..., [0, 1, 4]]
        expected = lower + references.sigmoid() * (upper - lower)
        torch.testing.assert_close(code[..., [0, 1, 4]], expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(code[..., [2, 3, 5, 6, 7, 8, 9]], steps[i][..., [2, 3, 5, 6, 7, 8, 9]])
    assert len(steps) == 3  # a branch is computed once a layer


def test_no_gradient_goes_from_a_layer_to_the_steps_before_it():
    decoder = _decoder()
    codes = decoder(volume_of(), *_start()).codes
    codes[-1].sum().backward()
    assert all((p.grad == 0).all() for branch in decoder.reg_branches[:-1] for p in branch.parameters())
    assert all((p.grad != 0).any() for p in decoder.reg_branches[-1].parameters())
    assert all((p.grad != 0).any() for p in decoder.layers[1].ffn.parameters())


def test_the_gradient_reaches_volume_and_starting_places():
    decoder, (content, position, references) = _decoder(), _start()
    data = volume_of().data.requires_grad_()
    references.requires_grad_()
    decoder(FeatureVolume(data, GRID), content, position, references).logits.sum().backward()
    assert data.grad.abs().sum() > 0
    assert references.grad.abs().sum() > 0


def test_a_volume_may_have_other_channels_than_the_queries():
    decoder = _decoder(channels=16, with_iou=True)
    out = decoder(volume_of(), torch.randn(1, 5, 16), torch.randn(1, 5, 16), torch.randn(1, 5, 3))
    assert out.logits.shape == (3, 1, 5, 3)
    assert out.codes.shape == (3, 1, 5, 10)
    assert out.ious.shape == (3, 1, 5)


def test_heads_must_share_the_channels():
    with pytest.raises(ValueError, match="multiple of num_heads = 3"):
        _decoder(num_heads=3)


def test_first_scores_are_near_one_in_a_hundred():
    scores = _decoder()(volume_of(), *_start()).logits.sigmoid()
    assert 0.003 < scores.mean() < 0.03


def test_reference_queries_are_spread_evenly_and_start_where_they_point():
    queries = ReferenceQueries(2000, 8)
    content, position, logits = queries()
    places = logits.sigmoid()
    assert torch.equal(logits, queries.references.weight)
    quarters = torch.tensor([0.25, 0.5, 0.75])
    torch.testing.assert_close(places.quantile(quarters), quarters, rtol=0, atol=0.03)
    assert (content == 0).all()
    assert position.shape == (2000, 8)
    torch.testing.assert_close(queries.at(places)[1], position, rtol=1e-3, atol=1e-3)


def test_a_reference_at_the_edge_still_learns():
    queries = ReferenceQueries(1, 8)
    torch.nn.init.constant_(queries.references.weight, 8.0)
    decoder = _decoder(num_layers=1)
    content, position, references = (part[None] for part in queries())
    codes = decoder(volume_of(), content, position, references).codes
    codes[..., 4].sum().backward()
    assert (queries.references.weight.grad != 0).all()


def test_embedded_queries_read_their_reference_off_their_place():
    queries = EmbeddedQueries(7, 8)
    content, position, logits = queries()
    assert torch.equal(torch.cat([position, content], dim=1), queries.embedding.weight)
    torch.testing.assert_close(logits, queries.reference(position))
