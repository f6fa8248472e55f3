"""Chunking: a function of rows is applied to a chunk of them at a time, for bounded memory and warm caches."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def apply_in_chunks(
    function: Callable[..., tuple[Tensor, ...]], module: nn.Module, chunk_size: int | None, *rows: Tensor
) -> tuple[Tensor, ...]:
    """Compute `function(*rows)` chunk by chunk, and compute it again in the backward pass instead of keeping it.

    The intermediate values of a chunk stay in the processor's cache, which on a CPU saves more time than the
    second computation costs. `torch.compile` plans memory itself, so it sees one call without chunks.

    Both computations are in the precision of the first: autocast as it is where this function is called. Second
    derivatives need a `chunk_size` of None; with chunks they raise a RuntimeError when they are computed.

    Args:
        function: maps rows to a tuple of rows, without randomness.
        module: holds the parameters that the function uses.
        chunk_size: number of rows in a chunk; None applies the function to all rows at once.
        *rows: inputs of the function, `[P, ...]` each.
    """
    if chunk_size is None or torch.compiler.is_compiling():
        return function(*rows)
    return _Chunks.apply(function, chunk_size, len(rows), *rows, *module.parameters())


class _Chunks(torch.autograd.Function):
    @staticmethod
    def forward(ctx, function: Callable, chunk_size: int, num_rows: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.function, ctx.chunk_size, ctx.num_rows = function, chunk_size, num_rows
        device = tensors[0].device.type
        # Weights that are cast here, without a graph, must not be in autocast's cache for those who need one; nor may
        # the backward pass find them there, when it runs inside the same autocast.
        ctx.autocast = {
            "dtype": torch.get_autocast_dtype(device),
            "enabled": torch.is_autocast_enabled(device),
            "cache_enabled": False,
        }
        ctx.save_for_backward(*tensors)
        rows, count = tensors[:num_rows], len(tensors[0])
        outputs: tuple[Tensor, ...] = ()
        for part in _slices(count, chunk_size):
            with torch.autocast(device, **ctx.autocast):
                chunk = function(*(r[part] for r in rows))
            # Whole outputs are made once: chunks kept until the end would leave the heap full of holes.
            outputs = outputs or tuple(c.new_empty(count, *c.shape[1:]) for c in chunk)
            for output, value in zip(outputs, chunk, strict=True):
                output[part] = value
        return outputs

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        rows, parameters = ctx.saved_tensors[: ctx.num_rows], ctx.saved_tensors[ctx.num_rows :]
        needed = ctx.needs_input_grad[3:]
        by_row = [torch.empty_like(r) if n else None for r, n in zip(rows, needed, strict=False)]
        trained = [p for p, n in zip(parameters, needed[ctx.num_rows :], strict=True) if n]
        by_parameter = [torch.zeros_like(p) for p in trained]
        for part in _slices(len(rows[0]), ctx.chunk_size):
            with torch.enable_grad(), torch.autocast(rows[0].device.type, **ctx.autocast):
                chunk = [r[part].detach().requires_grad_(g is not None) for r, g in zip(rows, by_row, strict=True)]
                outputs = ctx.function(*chunk)
            inputs = [c for c in chunk if c.requires_grad]
            found = iter(torch.autograd.grad(outputs, inputs + trained, [g[part] for g in grads], allow_unused=True))
            for whole in by_row:
                if whole is not None:
                    value = next(found)
                    whole[part] = 0.0 if value is None else value
            for total, value in zip(by_parameter, found, strict=True):
                if value is not None:
                    total += value
        totals = iter(by_parameter)
        found = (*by_row, *(next(totals) if n else None for n in needed[ctx.num_rows :]))
        if torch.is_grad_enabled():
            found = _NoSecondDerivative.apply(len(found), *found, *ctx.saved_tensors, *grads)
        return None, None, None, *found


class _NoSecondDerivative(torch.autograd.Function):
    """Passes on gradients whose own derivatives are unknown; asked for these, it says so."""

    @staticmethod
    def forward(ctx, count: int, *tensors: Tensor | None) -> tuple[Tensor | None, ...]:
        return tuple(None if t is None else t.view_as(t) for t in tensors[:count])

    @staticmethod
    def backward(ctx, *grads: Tensor) -> None:
        raise RuntimeError(
            "apply_in_chunks has no second derivatives, as a chunk is computed again without a graph: for those give "
            "SDFField(chunk_size=None). The normal of a field needs none, it is computed in closed form"
        )


def _slices(count: int, chunk_size: int) -> list[slice]:
    return [slice(start, start + chunk_size) for start in range(0, max(count, 1), chunk_size)]


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
    """Undo `values = original[order]` for a permutation; it gathers in both directions and never scatters."""
    inverse = torch.empty_like(order)
    inverse[order] = torch.arange(len(order), device=order.device)
    return _Reorder.apply(values, order, inverse)
