"""Rays: stacking, splitting, and which of them have a depth."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ponderv2.structures import RayBatch

FIELDS = ("origins", "directions", "valid", "depth", "pixels", "rgb")


def rays(*shape: int, color: bool = True) -> RayBatch:
    return RayBatch(
        origins=torch.rand(*shape, 3),
        directions=torch.nn.functional.normalize(torch.randn(*shape, 3), dim=-1),
        valid=torch.rand(shape) < 0.7,
        depth=torch.rand(shape) * (torch.rand(shape) < 0.5),
        pixels=torch.rand(*shape, 2) * 100,
        rgb=torch.rand(*shape, 3) if color else None,
    )


def same(a: RayBatch, b: RayBatch) -> bool:
    pairs = [(getattr(a, f), getattr(b, f)) for f in FIELDS]
    return all((x is None and y is None) or torch.equal(x, y) for x, y in pairs)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([(3,), (2, 3)]), st.integers(1, 17), st.integers(1, 20), st.booleans())
def test_parts_are_bounded_and_join_to_the_whole(leading, count, size, color):
    whole = rays(*leading, count, color=color)
    parts = whole.split(size)
    assert [p.valid.shape[-1] for p in parts[:-1]] == [size] * (len(parts) - 1)
    assert 1 <= parts[-1].valid.shape[-1] <= size
    axis = len(leading)
    joined = {
        f: None if getattr(whole, f) is None else torch.cat([getattr(p, f) for p in parts], dim=axis) for f in FIELDS
    }
    assert same(RayBatch(**joined), whole)


@pytest.mark.parametrize("color", [True, False])
def test_a_stack_holds_its_samples_in_order(color):
    samples = [rays(6, 5, color=color) for _ in range(3)]
    batch = RayBatch.stack(samples)
    assert batch.origins.shape == (3, 6, 5, 3)
    for k, sample in enumerate(samples):
        parts = {f: None if getattr(batch, f) is None else getattr(batch, f)[k] for f in FIELDS}
        assert same(RayBatch(**parts), sample)


def test_samples_with_and_without_colour_do_not_mix():
    with pytest.raises(ValueError, match="all have ray colours, or none"):
        RayBatch.stack([rays(6, 5), rays(6, 5, color=False)])


def test_only_valid_rays_with_a_return_have_a_depth():
    batch = RayBatch(
        origins=torch.zeros(1, 4, 3),
        directions=torch.ones(1, 4, 3),
        valid=torch.tensor([[True, True, False, False]]),
        depth=torch.tensor([[3.0, 0.0, 3.0, 0.0]]),
        pixels=torch.zeros(1, 4, 2),
    )
    assert batch.has_depth.tolist() == [[True, False, False, False]]


@pytest.mark.parametrize("color", [True, False])
def test_flattened_cameras_lie_one_after_the_other(color):
    batch = rays(2, 3, 5, color=color)
    flat = batch.flatten_cameras()
    assert flat.valid.shape == (2, 15)
    for camera in range(3):
        part = slice(5 * camera, 5 * camera + 5)
        fields = {f: None if getattr(flat, f) is None else getattr(flat, f)[:, part] for f in FIELDS}
        one = {f: None if getattr(batch, f) is None else getattr(batch, f)[:, camera] for f in FIELDS}
        assert same(RayBatch(**fields), RayBatch(**one))
    assert torch.equal(flat.has_depth, batch.has_depth.flatten(1))


@pytest.mark.parametrize("color", [True, False])
def test_moving_rays_keeps_them(color):
    batch = rays(6, 5, color=color)
    assert same(batch.to("cpu"), batch)
    assert batch.to("meta").origins.device.type == "meta"
