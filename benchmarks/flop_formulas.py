"""FLOPs of operators that torch's `FlopCounterMode` does not know, or takes for more: reading at points, groups.

A product and a sum are two FLOPs, as there. Sparse convolutions need no formula: on a CPU they are matrix products of
the rows that meet (`ponderv2.compat.spconv_cpu`), which torch counts. Norms, activations and other work by element stay
uncounted: it is bound by memory.
"""

from collections.abc import Callable

import torch
from torch import Tensor

_aten = torch.ops.aten


def _sampled(corners: int) -> Callable[..., int]:
    def flops(values: Tensor, grid: Tensor, *_: object, out_val: Tensor, **__: object) -> int:
        return 2 * corners * out_val.numel()

    flops._get_raw = True
    return flops


def _sampled_backward(corners: int) -> Callable[..., int]:
    def flops(grad: Tensor, values: Tensor, grid: Tensor, *_: object, out_val: object, **__: object) -> int:
        # To the corners' values, and to the place.
        return 2 * 2 * corners * grad.numel()

    flops._get_raw = True
    return flops


def _bag(table: Tensor, indices: Tensor, *_: object, out_val: object, **__: object) -> int:
    return 2 * indices.numel() * table.shape[-1]


def _bag_backward(grad: Tensor, first: Tensor, second: Tensor, *_: object, out_val: object, **__: object) -> int:
    # Of the weights' gradient, the table comes before the rows.
    indices = second if first.is_floating_point() else first
    return 2 * indices.numel() * grad.shape[-1]


def _convolution_backward(
    grad: Tensor,
    values: Tensor,
    weight: Tensor,
    bias_sizes: object,
    stride: object,
    padding: object,
    dilation: object,
    transposed: bool,
    output_padding: object,
    groups: int,
    output_mask: list[bool],
    out_val: object,
) -> int:
    # Torch's own formula leaves out that groups share no weights: a depth-wise convolution then counts as a dense one.
    positions = (values if transposed else grad)[:, :1].numel()
    each = 2 * positions * weight.numel()
    return each * sum(output_mask[:2])


for _formula in (_bag, _bag_backward, _convolution_backward):
    _formula._get_raw = True

FORMULAS: dict[object, Callable[..., int]] = {
    _aten.convolution_backward: _convolution_backward,
    _aten.grid_sampler_2d: _sampled(4),
    _aten.grid_sampler_3d: _sampled(8),
    _aten.grid_sampler_2d_backward: _sampled_backward(4),
    _aten.grid_sampler_3d_backward: _sampled_backward(8),
    _aten._embedding_bag: _bag,
    _aten._embedding_bag_forward_only: _bag,
    _aten._embedding_bag_backward: _bag_backward,
    _aten._embedding_bag_dense_backward: _bag_backward,
    _aten._embedding_bag_per_sample_weights_backward: _bag_backward,
}
"""For `custom_mapping` of `FlopCounterMode`."""
