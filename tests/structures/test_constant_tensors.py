"""Small constant tensors: built once, kept by value, device and type."""

import pytest
import torch

from ponderv2.structures import VoxelGrid, constant

GRID = VoxelGrid((-4.0, -4.0, -1.0, 4.0, 4.0, 1.0), (8, 8, 2))


def test_a_constant_is_built_once_for_each_type():
    first = constant((1, 2, 3), "cpu")
    assert constant([1, 2, 3], torch.device("cpu")) is first
    assert constant((1, 2, 3)) is first
    assert first.tolist() == [1.0, 2.0, 3.0]
    whole = constant((1, 2, 3), "cpu", torch.int64)
    assert (whole.dtype, whole.tolist()) == (torch.int64, [1, 2, 3])
    assert constant((1, 2, 3), "meta").device.type == "meta"


def test_a_constant_that_inference_has_built_can_be_trained_with():
    with torch.inference_mode():
        scale = constant((0.123, 4.56), "cpu")
    leaf = torch.ones(2, requires_grad=True)
    (leaf * scale).sum().backward()
    torch.testing.assert_close(leaf.grad, scale)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_grid_builds_nothing_anew(dtype, monkeypatch):
    points = torch.randn(5, 3, dtype=dtype)

    def use():
        return [
            GRID.to_index(points),
            GRID.to_fraction(points),
            GRID.from_fraction(points),
            GRID.cell_of(points)[0],
            GRID.contains(points),
        ]

    before = use()

    def refuse(*args, **kwargs):
        raise AssertionError("a tensor was built from a list")

    monkeypatch.setattr(torch, "tensor", refuse)
    monkeypatch.setattr(torch.Tensor, "new_tensor", refuse)
    for one, other in zip(before, use(), strict=True):
        assert torch.equal(one, other)
