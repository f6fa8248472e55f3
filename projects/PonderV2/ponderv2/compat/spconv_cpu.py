"""Sparse convolution on CPU tensors that is right, trains, and takes a bias.

Three faults of spconv's CPU code (measured on 2.3.8), and one of its CUDA builds:

* the scatter-add of its forward pass is an OpenMP loop without synchronisation: with two threads most calls
  return wrong sums (271 of 500 in one measurement, 300 of 300 in another, by up to 1.0);
* its backward pass asks for the current CUDA stream, and fails on a build of torch without CUDA;
* a bias in eval mode, or a fused activation, is refused: "cpu don't support act and bias"
  (traveller59/spconv#719);
* a layer of a CUDA build chooses an algorithm that knows CUDA alone when it is made, and then refuses CPU tensors.

`install_spconv_cpu` replaces the two functions of `spconv.pytorch.ops` behind every native sparse
convolution, and lets a layer choose the native algorithm for each pass over CPU tensors. These take the gather, matrix
product and scatter-add below; CUDA tensors go to spconv as before, with the algorithm of the layer.
"""

import functools
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

__all__ = ["cpu_indice_conv", "cpu_indice_conv_backward", "install_spconv_cpu"]


def install_spconv_cpu() -> None:
    """Replace `indice_conv` and `indice_conv_backward` of `spconv.pytorch.ops`, and how a layer chooses its algorithm.

    Further calls change nothing.

    spconv's own function stays reachable as `__wrapped__` of its replacement.

    Raises:
        RuntimeError: this spconv keeps its weights in an order other than (out, *kernel, in).
    """
    from spconv import constants
    from spconv.pytorch import ops
    from spconv.pytorch.conv import SparseConvolution

    if not constants.ALL_WEIGHT_IS_KRSC:
        raise RuntimeError(
            "this spconv keeps its weights in another order than (out, *kernel, in); install spconv >= 2.3.6"
        )
    _replace(ops, "indice_conv", cpu_indice_conv)
    _replace(ops, "indice_conv_backward", cpu_indice_conv_backward)
    _choose_algorithm_by_input(SparseConvolution)


def cpu_indice_conv(
    features: Tensor,  # [N_in, C_in]
    filters: Tensor,  # [C_out, *kernel, C_in]
    indice_pairs: Tensor,  # [2, kernel volume, N], int32
    indice_pair_num: Tensor,  # [kernel volume], int32
    num_activate_out: int,
    inverse: bool = False,
    subm: bool = False,
    algo: Any = None,
    timer: Any = None,
    bias: Tensor | None = None,  # [C_out]
    act_alpha: Any = 0.0,  # strided layers hand over `act_type` here: a slip of spconv
    act_beta: float = 0.0,
    act_type: Any = None,
) -> Tensor:  # [num_activate_out, C_out]
    """Compute a sparse convolution from an index table; the signature is that of `spconv.pytorch.ops.indice_conv`.

    `indice_pairs[0, k, i]` and `indice_pairs[1, k, i]` are the input and output row of pair i of kernel cell
    k; an inverse convolution reads them the other way round. Sums are taken in fp32 or wider, and in a fixed
    order over the kernel cells, whatever the number of threads.

    Raises:
        NotImplementedError: the features are quantised, the table is not the native one, or the activation is none of
            ReLU, sigmoid and leaky ReLU.
    """
    _check_supported(features, algo)
    weight, dtype = _prepare(features, filters)
    center = weight.shape[1] // 2
    # Autocast would turn the product below into bf16, and index_add_ does not mix types.
    with torch.autocast("cpu", enabled=False):
        source = features.to(dtype)
        if subm:
            out = source @ weight[:, center].T
        else:
            out = source.new_zeros(num_activate_out, weight.shape[0])
        for cell, rows_in, rows_out in _pairs(indice_pairs, indice_pair_num, inverse, subm):
            out.index_add_(0, rows_out, source[rows_in] @ weight[:, cell].T)
        if bias is not None:
            out += bias.to(dtype)
        out = _activate(out, act_type, act_alpha)
    return out.to(torch.promote_types(features.dtype, filters.dtype))


def cpu_indice_conv_backward(
    features: Tensor,  # [N_in, C_in]
    filters: Tensor,  # [C_out, *kernel, C_in]
    out_bp: Tensor,  # [N_out, C_out], gradient of the output
    indice_pairs: Tensor,  # [2, kernel volume, N], int32
    indice_pair_num: Tensor,  # [kernel volume], int32
    inverse: bool = False,
    subm: bool = False,
    algo: Any = None,
    timer: Any = None,
) -> tuple[Tensor, Tensor]:  # gradients of the features and of the filters
    """Compute the gradients of `cpu_indice_conv`, without bias and activation, as `spconv.pytorch.ops` defines them.

    Raises:
        NotImplementedError: as `cpu_indice_conv` does.
    """
    _check_supported(features, algo)
    weight, dtype = _prepare(features, filters)
    center = weight.shape[1] // 2
    with torch.autocast("cpu", enabled=False):
        source, grad_out = features.to(dtype), out_bp.to(dtype)
        grad_weight = torch.zeros_like(weight)
        if subm:
            grad_source = grad_out @ weight[:, center]
            grad_weight[:, center] = grad_out.T @ source
        else:
            grad_source = torch.zeros_like(source)
        for cell, rows_in, rows_out in _pairs(indice_pairs, indice_pair_num, inverse, subm):
            grad_rows = grad_out[rows_out]
            grad_weight[:, cell] = grad_rows.T @ source[rows_in]
            grad_source.index_add_(0, rows_in, grad_rows @ weight[:, cell])
    return grad_source.to(features.dtype), grad_weight.reshape(filters.shape).to(filters.dtype)


def _pairs(
    indice_pairs: Tensor, indice_pair_num: Tensor, inverse: bool, subm: bool
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield (kernel cell, input rows, output rows) of every kernel cell that has pairs.

    A submanifold table counts only the cells before the center. The cell opposite has as many pairs, by
    symmetry; at the center the input and output row are the same, which callers do in one product.
    """
    counts = indice_pair_num.tolist()
    center = len(counts) // 2
    for cell, count in enumerate(counts):
        if subm and cell == center:
            continue
        used = counts[len(counts) - 1 - cell] if subm and cell > center else count
        if used > 0:
            rows_in = indice_pairs[int(inverse), cell, :used].long()
            rows_out = indice_pairs[int(not inverse), cell, :used].long()
            yield cell, rows_in, rows_out


def _prepare(features: Tensor, filters: Tensor) -> tuple[Tensor, torch.dtype]:
    """Return the weight as [C_out, kernel volume, C_in] and the type to compute in, fp32 at least."""
    dtype = torch.promote_types(torch.promote_types(features.dtype, filters.dtype), torch.float32)
    return filters.reshape(filters.shape[0], -1, filters.shape[-1]).to(dtype), dtype


def _check_supported(features: Tensor, algo: Any) -> None:
    from spconv.core import ConvAlgo

    if not features.is_floating_point():
        raise NotImplementedError(f"sparse convolution on CPU needs floating-point features, got {features.dtype}")
    if algo is not None and algo != ConvAlgo.Native:
        raise NotImplementedError(
            f"sparse convolution on CPU knows ConvAlgo.Native alone, got {algo}; "
            "build the layer with algo=ConvAlgo.Native"
        )


def _activate(out: Tensor, act_type: Any, alpha: Any) -> Tensor:
    from cumm.tensorview.gemm import Activation

    if act_type is None or act_type == Activation.None_:
        return out
    if act_type == Activation.ReLU:
        return torch.relu(out)
    if act_type == Activation.Sigmoid:
        return torch.sigmoid(out)
    if act_type == Activation.LeakyReLU:
        # spconv 2.3.8's strided convolution passes the activation where its slope belongs.
        if not isinstance(alpha, (int, float)):
            raise NotImplementedError(
                f"leaky ReLU fused into this convolution got {alpha!r} for its slope, expected a number; "
                "use a separate nn.LeakyReLU"
            )
        return torch.where(out >= 0, out, out * alpha)
    raise NotImplementedError(
        f"activation {act_type} fused into a sparse convolution is unknown on CPU; "
        "expected None_, ReLU, Sigmoid or LeakyReLU"
    )


def _replace(ops: ModuleType, name: str, cpu_function: Callable) -> None:
    original = getattr(ops, name)
    if getattr(original, "cpu_function", None) is cpu_function:
        return

    @functools.wraps(original)
    def dispatch(features: Tensor, *args: Any, **kwargs: Any) -> Any:
        if features.device.type == "cpu":
            return cpu_function(features, *args, **kwargs)
        return original(features, *args, **kwargs)

    dispatch.cpu_function = cpu_function
    setattr(ops, name, dispatch)


def _choose_algorithm_by_input(layer_type: type[torch.nn.Module]) -> None:
    from spconv.core import ConvAlgo

    original = layer_type.forward
    if getattr(original, "by_input", False):
        return

    @functools.wraps(original)
    def forward(self, input: Any, *args: Any, **kwargs: Any) -> Any:
        if input.features.device.type != "cpu" or self.algo == ConvAlgo.Native:
            return original(self, input, *args, **kwargs)
        chosen, self.algo = self.algo, ConvAlgo.Native
        try:
            return original(self, input, *args, **kwargs)
        finally:
            self.algo = chosen

    forward.by_input = True
    layer_type.forward = forward
