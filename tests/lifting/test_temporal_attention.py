"""Temporal self-attention against a loop and the published matrix; without history it is the static model."""

import math

import pytest
import torch
from torch import nn

from ponderv2.errors import UserError
from ponderv2.lifting import DeformableLift
from ponderv2.lifting.temporal_attention import TemporalSelfAttention
from ponderv2.structures import FeatureVolume, PastVolume, VoxelGrid
from tests.factories.small_rig import PADDED, small_rig

CHANNELS, HEADS, POINTS, SIZE = 8, 2, 4, (3, 4)
STRIDES = (8, 16)


def _attention(missing: str = "left_out") -> TemporalSelfAttention:
    """An attention all of whose weights matter."""
    attention = TemporalSelfAttention(CHANNELS, HEADS, missing=missing).double().eval()
    for parameter in attention.parameters():
        nn.init.normal_(parameter, std=0.5)
    return attention


def _planes(count: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    planes, past = (torch.randn(count, math.prod(SIZE), CHANNELS, dtype=torch.float64) for _ in range(2))
    return planes, past, torch.randn(1, math.prod(SIZE), CHANNELS, dtype=torch.float64)


def _published(attention: TemporalSelfAttention, planes, past, position, first=None):
    """BEVFormer's attention to a queue of two planes, cell by cell, with the two matrices that its code has.

    The queue has the current plane as it was before the first layer.
    """
    first = planes if first is None else first
    ny, nx = SIZE
    halves = []
    for own, cross, earlier in (
        ("sampling_offsets", "offsets_from_history", "history_offsets"),
        ("attention_weights", "weights_from_history", "history_weights"),
    ):
        own, cross, earlier = (getattr(attention, name) for name in (own, cross, earlier))
        current = torch.cat([cross.weight, own.weight], dim=1).unflatten(0, (HEADS, -1))
        weight = torch.stack([earlier.weight.unflatten(0, (HEADS, -1)), current], dim=1).flatten(0, 2)
        bias = torch.stack(
            [earlier.bias.unflatten(0, (HEADS, -1)), own.bias.unflatten(0, (HEADS, -1))], dim=1
        ).flatten()
        halves.append((weight, bias))
    (offset_weight, offset_bias), (weight_weight, weight_bias) = halves
    query = torch.cat([past, planes + position[0]], dim=-1)
    queue = [attention.value_proj(plane).unflatten(1, (HEADS, -1)) for plane in (past, first)]
    result = torch.zeros_like(planes)
    for cell in range(ny * nx):
        offsets = (offset_weight @ query[cell] + offset_bias).view(HEADS, 2, POINTS, 2)
        weights = (weight_weight @ query[cell] + weight_bias).view(HEADS, 2, POINTS).softmax(dim=-1)
        read = torch.zeros(HEADS, CHANNELS // HEADS, dtype=planes.dtype)
        for head in range(HEADS):
            for which, value in enumerate(queue):
                for point in range(POINTS):
                    u, v = offsets[head, which, point] + torch.tensor([cell % nx, cell // nx])
                    for row in (math.floor(v), math.floor(v) + 1):
                        for column in (math.floor(u), math.floor(u) + 1):
                            if 0 <= row < ny and 0 <= column < nx:
                                share = (1 - abs(v - row)) * (1 - abs(u - column)) * weights[head, which, point]
                                read[head] += share * value[row * nx + column, head] / 2
        result[cell] = attention.output_proj(read.flatten()) + planes[cell]
    return result


@torch.no_grad()
def test_equals_a_loop_over_the_published_queue():
    (planes, past, position), exists = _planes(), torch.tensor([True])
    for missing in ("left_out", "current"):
        attention = _attention(missing)
        expected = _published(attention, planes[0], past[0], position)
        torch.testing.assert_close(attention(planes, position, SIZE, past, exists)[0], expected)
    # The published code puts the current plane in the place of the earlier one where there is none.
    expected = _published(attention, planes[0], planes[0], position)
    torch.testing.assert_close(attention(planes, position, SIZE)[0], expected)
    torch.testing.assert_close(attention(planes, position, SIZE, past, ~exists)[0], expected)


@torch.no_grad()
@pytest.mark.parametrize("missing", ["left_out", "current"])
def test_later_layers_read_the_current_plane_as_it_was_before_the_first_where_there_is_an_earlier_one(missing):
    attention, (planes, past, position), first = _attention(missing), _planes(2), _planes(2)[0]
    exists = torch.tensor([True, False])
    found = attention(planes, position, SIZE, past, exists, first)
    torch.testing.assert_close(found[0], _published(attention, planes[0], past[0], position, first[0]))
    torch.testing.assert_close(found[1:], attention(planes[1:], position, SIZE))
    grid = VoxelGrid((-6.0, -6.0, -2.0, 6.0, 6.0, 2.0), (6, 5, 1))
    (_, lift), seen = _lifts(grid), []
    lift.layers[1].self_attn.register_forward_pre_hook(lambda _, given: seen.append(given[5]))
    maps = [torch.randn(1, 2, CHANNELS, PADDED[0] // s, PADDED[1] // s) for s in STRIDES]
    before = PastVolume(FeatureVolume(torch.randn(1, CHANNELS, *grid.shape), grid), torch.tensor([True]))
    lift(maps, None, STRIDES, small_rig(batch=1), grid, past=before)
    assert torch.equal(seen[0][0], lift.queries.weight)


@pytest.mark.parametrize("missing", ["left_out", "current"])
def test_every_parameter_has_a_gradient_at_the_start_of_a_scene(missing):
    """Processes whose frames have a history would wait for it."""
    attention, (planes, _, position) = _attention(missing).train(), _planes()
    attention(planes, position, SIZE).sum().backward()
    assert [name for name, parameter in attention.named_parameters() if parameter.grad is None] == []


@torch.no_grad()
@pytest.mark.parametrize("missing", ["left_out", "current"])
def test_samples_at_the_start_of_a_scene_do_not_read_what_stands_for_their_history(missing):
    attention, (planes, past, position) = _attention(missing), _planes(3)
    exists = torch.tensor([True, False, True])
    past[1] = math.nan
    together = attention(planes, position, SIZE, past, exists)
    torch.testing.assert_close(together[1:2], attention(planes[1:2], position, SIZE))
    for b in (0, 2):
        alone = attention(planes[b : b + 1], position, SIZE, past[b : b + 1], exists[b : b + 1])
        torch.testing.assert_close(together[b : b + 1], alone)
    assert (together[0] - attention(planes, position, SIZE)[0]).abs().max() > 0.01


def _lifts(grid: VoxelGrid) -> tuple[DeformableLift, DeformableLift]:
    """A static lift and a temporal one with the same weights and more."""
    arguments = dict(num_levels=2, num_heads=HEADS, num_points=4, num_layers=2, ffn_channels=12)
    static, temporal = (DeformableLift(CHANNELS, grid.size, (0.2, 0.7), history=h, **arguments) for h in (False, True))
    for parameter in (*static.parameters(), *temporal.parameters()):
        nn.init.normal_(parameter, std=0.5)
    own, more = static.state_dict(), temporal.state_dict()
    temporal.load_state_dict(more | own)
    assert set(own) < set(more)
    return static.eval(), temporal.eval()


@torch.no_grad()
@pytest.mark.parametrize("levels", [1, 2])
def test_the_temporal_lift_without_history_is_the_static_one_bit_by_bit(levels):
    grid = VoxelGrid((-6.0, -6.0, -2.0, 6.0, 6.0, 2.0), (6, 5, levels))
    (static, temporal), rig = _lifts(grid), small_rig(batch=2)
    maps = [torch.randn(2, 2, CHANNELS, PADDED[0] // s, PADDED[1] // s) for s in STRIDES]
    expected = static(maps, None, STRIDES, rig, grid)
    assert torch.equal(temporal(maps, None, STRIDES, rig, grid), expected)
    before = FeatureVolume(torch.randn_like(expected), grid)
    past = PastVolume(before, torch.tensor([False, True]))
    mixed = temporal(maps, None, STRIDES, rig, grid, past=past)
    torch.testing.assert_close(mixed[0], expected[0])
    assert (mixed[1] - expected[1]).abs().max() > 0.01
    # Of a volume, cells read their own height of the frame before.
    if levels == 2:
        before.data[:, :, 0] += 1.0
        changed = temporal(maps, None, STRIDES, rig, grid, past=past)
        assert torch.equal(changed[:, :, 1], mixed[:, :, 1])
        assert (changed[1, :, 0] - mixed[1, :, 0]).abs().max() > 0.01
    with pytest.raises(UserError, match="expected history=True"):
        static(maps, None, STRIDES, rig, grid, past=past)


def test_a_new_attention_reads_both_planes_alike():
    attention, (planes, past, position) = TemporalSelfAttention(CHANNELS, HEADS).double().eval(), _planes()
    exists = torch.ones(1, dtype=torch.bool)
    both, one, other = (
        attention(planes, position, SIZE, p, exists) - planes for p in ((planes + past) / 2, planes, past)
    )
    torch.testing.assert_close(both, (one + other) / 2)
    parameters = list(attention.parameters())
    found = torch.autograd.grad(attention(planes, position, SIZE, past, exists).square().sum(), parameters)
    assert all(gradient.abs().sum() > 0 for gradient in found)


def test_numbers_and_words_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="missing_history: expected 'left_out' or 'current', got 'zero'"):
        DeformableLift(8, (4, 4, 1), history=True, num_heads=2, missing_history="zero")
    with pytest.raises(ValueError, match="in their self-attention, and there is none"):
        DeformableLift(8, (4, 4, 1), history=True, num_heads=2, self_attention=False)
