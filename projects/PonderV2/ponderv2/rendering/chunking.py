"""Bounded memory and warm caches: a function of rows, applied piece by piece."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def in_pieces(
    function: Callable[..., tuple[Tensor, ...]], module: nn.Module, size: int | None, *rows: Tensor
) -> tuple[Tensor, ...]:
    """`function(*rows)` for `size` rows at a time, computed again in the backward pass instead of being kept.

    The intermediate values of a piece stay in the processor's cache, which on a CPU saves more time than the
    second computation costs. `torch.compile` plans memory itself, and sees one call; so does `size=None`.

    Args:
        function: rows to a tuple of rows, without randomness.
        module: what holds the parameters that the function uses.
        size: rows a piece.
        *rows: `[P, ...]` each.
    """
    if size is None or torch.compiler.is_compiling():
        return function(*rows)
    return _Pieces.apply(function, size, len(rows), *rows, *module.parameters())


class _Pieces(torch.autograd.Function):
    @staticmethod
    def forward(ctx, function: Callable, size: int, num_rows: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.function, ctx.size, ctx.num_rows = function, size, num_rows
        ctx.save_for_backward(*tensors)
        rows, count = tensors[:num_rows], len(tensors[0])
        outputs: tuple[Tensor, ...] = ()
        for part in _parts(count, size):
            piece = function(*(r[part] for r in rows))
            # Whole outputs are made once: pieces kept until the end would leave the heap full of holes.
            outputs = outputs or tuple(p.new_empty(count, *p.shape[1:]) for p in piece)
            for output, value in zip(outputs, piece, strict=True):
                output[part] = value
        return outputs

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        rows, parameters = ctx.saved_tensors[: ctx.num_rows], ctx.saved_tensors[ctx.num_rows :]
        wanted = ctx.needs_input_grad[3:]
        by_row = [torch.empty_like(r) if w else None for r, w in zip(rows, wanted, strict=False)]
        trained = [p for p, w in zip(parameters, wanted[ctx.num_rows :], strict=True) if w]
        by_parameter = [torch.zeros_like(p) for p in trained]
        for part in _parts(len(rows[0]), ctx.size):
            with torch.enable_grad():
                piece = [r[part].detach().requires_grad_(g is not None) for r, g in zip(rows, by_row, strict=True)]
                outputs = ctx.function(*piece)
            inputs = [p for p in piece if p.requires_grad]
            found = iter(torch.autograd.grad(outputs, inputs + trained, [g[part] for g in grads], allow_unused=True))
            for whole in by_row:
                if whole is not None:
                    value = next(found)
                    whole[part] = 0.0 if value is None else value
            for total, value in zip(by_parameter, found, strict=True):
                if value is not None:
                    total += value
        totals = iter(by_parameter)
        return None, None, None, *by_row, *(next(totals) if w else None for w in wanted[ctx.num_rows :])


def _parts(count: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, max(count, 1), size)]


class _Reorder(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(order)
        return values.index_select(0, inverse)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:
        (order,) = ctx.saved_tensors
        return grad.index_select(0, order), None, None


def restore_order(values: Tensor, order: Tensor) -> Tensor:
    """Undo `values = original[order]` for a permutation; gathers in both directions, never scatters."""
    inverse = torch.empty_like(order)
    inverse[order] = torch.arange(len(order), device=order.device)
    return _Reorder.apply(values, order, inverse)
