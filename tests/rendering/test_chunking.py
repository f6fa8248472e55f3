"""Working chunk by chunk changes memory, not results."""

import pytest
import torch
from torch import nn

from ponderv2.rendering.chunking import apply_in_chunks, restore_order


def _module():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Softplus(), nn.Linear(5, 2)).double()


def _run(chunk_size, rows, module):
    def function(a, b):
        out = module(a + b)
        return out[:, :1], out.sin()

    first, second = apply_in_chunks(function, module, chunk_size, *rows)
    inputs = [rows[0], *module.parameters()]
    return (first, second), torch.autograd.grad((first * second.cos()).sum() + second.sum(), inputs)


@pytest.mark.parametrize("count", [1, 7, 12])
def test_chunks_give_the_values_and_gradients_of_the_whole(count):
    module = _module()
    rows = torch.randn(count, 3, dtype=torch.float64, requires_grad=True), torch.randn(count, 3, dtype=torch.float64)
    whole, by_whole = _run(None, rows, module)
    chunks, by_chunks = _run(4, rows, module)
    for one, other in zip((*whole, *by_whole), (*chunks, *by_chunks), strict=True):
        torch.testing.assert_close(one, other)


def test_chunks_are_computed_again_in_the_precision_of_the_first_time():
    module, rows = _module().float(), torch.randn(9, 3, requires_grad=True)
    gradients = []
    for chunk_size in (None, 9):
        with torch.autocast("cpu", torch.bfloat16):
            (out,) = apply_in_chunks(lambda x: (module(x),), module, chunk_size, rows)
        gradients.append(torch.autograd.grad(out.float().square().sum(), [rows, *module.parameters()]))
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(*gradients, rtol=0, atol=0)


@pytest.mark.parametrize("inside", [True, False], ids=["backward inside autocast", "backward outside"])
def test_chunks_train_the_weights_that_autocast_has_cast(inside):
    module, rows = _module().float(), torch.randn(9, 3)
    leaves = [*module.parameters()]
    with torch.autocast("cpu", torch.bfloat16):
        # Nobody who computes without gradients, as a sampler does, takes them from others.
        with torch.no_grad():
            apply_in_chunks(lambda x: (module(x),), module, 4, rows)
        (whole,) = apply_in_chunks(lambda x: (module(x),), module, None, rows)
        (out,) = apply_in_chunks(lambda x: (module(x),), module, 4, rows)
        if inside:
            by_chunks = torch.autograd.grad(out.float().square().sum(), leaves)
        by_whole = torch.autograd.grad(whole.float().square().sum(), leaves, allow_unused=True)
    if not inside:
        by_chunks = torch.autograd.grad(out.float().square().sum(), leaves)
    assert None not in by_whole
    assert all(g.abs().sum() > 0 for g in by_chunks)
    # Sums over chunks are rounded at other places.
    torch.testing.assert_close(by_chunks, by_whole, rtol=0.05, atol=0.01)


def test_second_derivatives_say_that_they_need_all_rows_at_once():
    module = _module()
    rows = torch.randn(9, 3, dtype=torch.float64, requires_grad=True)

    def slope(chunk_size):
        (out,) = apply_in_chunks(lambda x: (module(x),), module, chunk_size, rows)
        return torch.autograd.grad(out.square().sum(), rows, create_graph=True)[0]

    torch.testing.assert_close(slope(4), slope(None))
    slope(None).square().sum().backward()
    with pytest.raises(RuntimeError, match=r"no second derivatives.*chunk_size=None.*closed form"):
        slope(4).square().sum().backward()


def test_frozen_parameters_get_no_gradient():
    module = _module()
    module[0].requires_grad_(False)
    rows = torch.randn(9, 3, dtype=torch.float64, requires_grad=True)
    (out,) = apply_in_chunks(lambda x: (module(x),), module, 4, rows)
    out.sum().backward()
    assert module[0].weight.grad is None
    assert module[2].weight.grad is not None


def test_restoring_an_order_is_its_inverse_and_carries_gradients():
    values = torch.randn(20, 2, dtype=torch.float64, requires_grad=True)
    order = torch.randperm(20)
    torch.testing.assert_close(restore_order(values[order], order), values)
    assert torch.autograd.gradcheck(lambda v: restore_order(v, order), (values,))
