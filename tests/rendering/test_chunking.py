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
