"""Small constant tensors: built once, kept by value, device and type."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

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


def test_fake_tensors_are_not_kept_and_real_ones_not_mixed_with_them():
    values = (0.25, 7.125)
    with FakeTensorMode() as mode:
        first = constant(values, "cpu")
        assert isinstance(first, FakeTensor)
    real = constant(values, "cpu")
    assert type(real) is torch.Tensor
    assert real.tolist() == [0.25, 7.125]
    with mode:
        assert (first + constant(values, "cpu")).shape == (2,)


def test_another_mode_keeps_nothing_but_finds_what_is_kept():
    with _Plain():
        assert constant((0.5, 9.125), "cpu") is not constant((0.5, 9.125), "cpu")
    kept = constant((0.5, 9.125), "cpu")
    with _Plain():
        assert constant((0.5, 9.125), "cpu") is kept


class _Plain(TorchDispatchMode):
    """Any mode that is not of fake tensors."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


def test_a_constant_into_which_something_has_written_is_an_error():
    constant((3.5, 8.25), "cpu").add_(1)
    with pytest.raises(RuntimeError, match=r"constant \(3\.5, 8\.25\): something has written"):
        constant((3.5, 8.25), "cpu")


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
